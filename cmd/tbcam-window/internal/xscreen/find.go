package xscreen

import (
	"fmt"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// maxWindows bounds how many windows of a desktop are looked at.
const maxWindows = 20_000

// findWindow returns the window of a process, which may lie in others of a window
// manager's. A level of the tree takes one round trip to the server.
func findWindow(conn *xgb.Conn, root xproto.Window, pid int) (xproto.Window, error) {
	const name = "_NET_WM_PID"
	atom, err := xproto.InternAtom(conn, true, uint16(len(name)), name).Reply()
	if err != nil {
		return 0, fmt.Errorf("find the window: %w", err)
	}
	seen := 0
	for level := []xproto.Window{root}; len(level) > 0 && seen < maxWindows; {
		seen += len(level)
		children := childrenOf(conn, level)
		if w, ok := ownedBy(conn, children, atom.Atom, pid); ok {
			return w, nil
		}
		level = children
	}
	return 0, fmt.Errorf("find the window: none of %d belongs to process %d", seen, pid)
}

// childrenOf returns the children of windows; those that have gone have none.
func childrenOf(conn *xgb.Conn, windows []xproto.Window) (children []xproto.Window) {
	cookies := make([]xproto.QueryTreeCookie, len(windows))
	for i, w := range windows {
		cookies[i] = xproto.QueryTree(conn, w)
	}
	for _, c := range cookies {
		if reply, err := c.Reply(); err == nil {
			children = append(children, reply.Children...)
		}
	}
	return children
}

// ownedBy returns the window that has a process in its property.
func ownedBy(conn *xgb.Conn, windows []xproto.Window, property xproto.Atom, pid int) (xproto.Window, bool) {
	cookies := make([]xproto.GetPropertyCookie, len(windows))
	for i, w := range windows {
		cookies[i] = xproto.GetProperty(conn, false, w, property, xproto.AtomCardinal, 0, 1)
	}
	var found xproto.Window
	for i, c := range cookies {
		reply, err := c.Reply()
		if err == nil && reply.Format == 32 && len(reply.Value) == 4 && int(xgb.Get32(reply.Value)) == pid {
			found = windows[i]
		}
	}
	return found, found != 0
}
