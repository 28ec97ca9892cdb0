package v4l2

import (
	"encoding/binary"
	"strconv"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
)

var controlTypes = map[uint32]string{
	ctrlTypeInteger:     "int",
	ctrlTypeBoolean:     "bool",
	ctrlTypeMenu:        "menu",
	ctrlTypeButton:      "button",
	ctrlTypeInteger64:   "int64",
	ctrlTypeString:      "string",
	ctrlTypeBitmask:     "bitmask",
	ctrlTypeIntegerMenu: "intmenu",
}

// listControls lists the controls of a node in the driver's order, with their
// current values (drivers/media/v4l2-core/v4l2-ctrls-api.c). Arrays and other
// compound controls are omitted.
func listControls(fd int) []capture.Control {
	var controls []capture.Control
	q := queryExtCtrl{id: ctrlFlagNextCtrl}
	for callDriver(fd, vidiocQueryExtCtrl, unsafe.Pointer(&q)) == nil {
		if controlTypes[q.typ] != "" && q.flags&ctrlFlagDisabled == 0 {
			controls = append(controls, newControl(fd, &q))
		}
		q = queryExtCtrl{id: q.id | ctrlFlagNextCtrl}
	}
	return controls
}

func newControl(fd int, q *queryExtCtrl) capture.Control {
	c := capture.Control{
		ID:        q.id,
		Name:      cString(q.name[:]),
		Type:      controlTypes[q.typ],
		Min:       q.minimum,
		Max:       q.maximum,
		Step:      int64(q.step),
		Default:   q.def,
		Value:     q.def,
		ReadOnly:  q.flags&ctrlFlagReadOnly != 0,
		Inactive:  q.flags&ctrlFlagInactive != 0,
		WriteOnly: q.flags&ctrlFlagWriteOnly != 0 || q.typ == ctrlTypeButton,
	}
	if q.typ == ctrlTypeMenu || q.typ == ctrlTypeIntegerMenu {
		c.Menu = listMenu(fd, q)
	}
	switch {
	case c.WriteOnly:
	case q.typ == ctrlTypeString:
		c.Text = textOf(fd, q)
	default:
		c.Value = currentValue(fd, q)
	}
	return c
}

// listMenu lists the choices of a menu; drivers leave out those they lack.
func listMenu(fd int, q *queryExtCtrl) []capture.ControlMenuItem {
	var items []capture.ControlMenuItem
	for i := q.minimum; i <= q.maximum; i++ {
		m := queryMenu{id: q.id, index: uint32(i)}
		if callDriver(fd, vidiocQueryMenu, unsafe.Pointer(&m)) != nil {
			continue
		}
		name := cString(m.name[:])
		if q.typ == ctrlTypeIntegerMenu {
			name = strconv.FormatInt(int64(binary.NativeEndian.Uint64(m.name[:])), 10)
		}
		items = append(items, capture.ControlMenuItem{Index: i, Name: name})
	}
	return items
}

// currentValue returns the value of a control, the default where it cannot be read.
func currentValue(fd int, q *queryExtCtrl) int64 {
	c := extControl{id: q.id}
	all := extControls{count: 1, controls: &c}
	if callDriver(fd, vidiocGExtCtrls, unsafe.Pointer(&all)) != nil {
		return q.def
	}
	switch q.typ {
	case ctrlTypeInteger64:
		return int64(binary.NativeEndian.Uint64(c.value[:]))
	case ctrlTypeBitmask:
		return int64(binary.NativeEndian.Uint32(c.value[:]))
	}
	return int64(int32(binary.NativeEndian.Uint32(c.value[:])))
}
