package virtualcam

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture/v4l2"
)

var errClosed = errors.New("open /dev/video9: permission denied")

func node(path, label string, exclusive bool) v4l2.LoopbackNode {
	return v4l2.LoopbackNode{Path: path, Name: label, Exclusive: exclusive}
}

func TestOrderOfNodes(t *testing.T) {
	shut := v4l2.LoopbackNode{Path: "/dev/video9", Err: errClosed}
	for _, tt := range []struct {
		name  string
		nodes []v4l2.LoopbackNode
		want  []string
		err   error
	}{
		{"none", nil, nil, nil},
		{"ours first", []v4l2.LoopbackNode{node("0", "OBS", true), node("1", "TBcam", false)}, []string{"1", "0"}, nil},
		{"one that Chromium sees", []v4l2.LoopbackNode{node("0", "a", false), node("1", "b", true), node("2", "c", true)}, []string{"1", "2", "0"}, nil},
		{"one that is shut", []v4l2.LoopbackNode{shut, node("1", "b", true)}, []string{"1"}, nil},
		{"all are shut", []v4l2.LoopbackNode{shut}, nil, errClosed},
	} {
		got, err := nodes(listed(tt.nodes), Auto)
		var paths []string
		for _, n := range got {
			paths = append(paths, n.Path)
		}
		if !slices.Equal(paths, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, paths, err, tt.want, tt.err)
		}
	}
}

// listed is a machine with these nodes, that allows nothing.
type listed []v4l2.LoopbackNode

func (l listed) Node(path string) (v4l2.LoopbackNode, error) {
	return v4l2.LoopbackNode{}, fs.ErrNotExist
}
func (l listed) Nodes() ([]v4l2.LoopbackNode, error) { return slices.Clone(l), nil }
func (l listed) Create(string) (string, error)       { return "", fs.ErrPermission }
func (l listed) Loaded() bool                        { return true }
func (l listed) Load() error                         { return fs.ErrPermission }

// bare is a machine without a free node.
type bare struct {
	listed
	loaded    bool
	load, add error
	did       []string
}

func (b *bare) Loaded() bool { return b.loaded }
func (b *bare) Load() error  { b.did = append(b.did, "load"); return b.load }
func (b *bare) Create(label string) (string, error) {
	b.did = append(b.did, "add "+label)
	return "/dev/video0", b.add
}

// TestMakingANode: what may be done is done, and else there is a command.
func TestMakingANode(t *testing.T) {
	for _, tt := range []struct {
		machine bare
		does    string
		says    string
	}{
		{bare{}, "load", ""},
		{bare{load: fs.ErrPermission}, "load", "run: sudo modprobe v4l2loopback exclusive_caps=1 card_label=tbcam"},
		{bare{load: errors.New("key was rejected")}, "load", "key was rejected"},
		{bare{loaded: true}, "add tbcam", ""},
		{bare{loaded: true, add: fmt.Errorf("open: %w", fs.ErrPermission)}, "add tbcam", "run: sudo v4l2loopback-ctl add -n tbcam -x 1"},
		{bare{loaded: true, add: fmt.Errorf("open: %w", fs.ErrNotExist)}, "add tbcam", "devices=2 exclusive_caps=1,1"},
	} {
		m := tt.machine
		err := makeNode(&m)
		if fmt.Sprint(m.did) != "["+tt.does+"]" || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, %v; want %s, %q", tt.machine, m.did, err, tt.does, tt.says)
		}
	}
}
