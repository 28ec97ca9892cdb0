package v4l2

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrUsageUnknown is returned when the driver does not report that applications read a
// node: v4l2loopback does since 0.13.
var ErrUsageUnknown = errors.New("this version of v4l2loopback does not report when an application reads the camera; 0.13 and newer do")

// The event that reports it, V4L2_EVENT_PRI_CLIENT_USAGE of v4l2loopback.c, has two
// numbers: V4L2_EVENT_PRIVATE_START at first, and one of its own later.
const (
	eventPrivateStart   = 0x08000000
	eventClientUsage    = eventPrivateStart + 0x08e00000 + 1
	eventSubSendInitial = 1
)

// again is how often the number of applications is asked for, in ms: an event
// that was never sent would otherwise be missed for good.
const again = 1000

// subscribeUsage asks for the event and its present state.
func subscribeUsage(fd int) (eventSubscription, error) {
	for _, number := range []uint32{eventClientUsage, eventPrivateStart} {
		s := eventSubscription{typ: number, flags: eventSubSendInitial}
		if callDriver(fd, vidiocSubscribeEvent, unsafe.Pointer(&s)) == nil {
			return s, nil
		}
	}
	return eventSubscription{}, ErrUsageUnknown
}

// usage watches who reads a node.
type usage struct {
	fd           int
	wake         int // eventfd that ends the watch
	subscription eventSubscription
	users        chan int
	done         chan struct{} // closed when the watch has ended
}

// Users reports how many applications stream from the node: immediately, after each
// change, and now and then again. Only the newest number waits to be taken. Close
// closes the channel. The error wraps ErrUsageUnknown where the driver does not
// report it. It is called once.
func (o *Output) Users() (<-chan int, error) {
	s, err := subscribeUsage(o.fd)
	if err != nil {
		return nil, fmt.Errorf("VIDIOC_SUBSCRIBE_EVENT %s: %w", o.path, err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	o.usage = &usage{fd: o.fd, wake: wake, subscription: s, users: make(chan int, 1), done: make(chan struct{})}
	go o.usage.watchEvents()
	return o.usage.users, nil
}

// watchEvents passes events on until stopWatch.
func (u *usage) watchEvents() {
	defer close(u.done)
	defer close(u.users)
	poll := [2]unix.PollFd{{Fd: int32(u.fd), Events: unix.POLLPRI}, {Fd: int32(u.wake), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll[:], again)
		switch {
		case err == unix.EINTR:
		case err != nil, poll[1].Revents != 0:
			return
		case n == 0:
			u.askAgain()
		case poll[0].Revents&unix.POLLPRI == 0:
			return // POLLERR or POLLHUP: the node was removed
		default:
			u.passEvent()
		}
	}
}

// askAgain makes the driver send an event with the present number.
func (u *usage) askAgain() {
	_ = callDriver(u.fd, vidiocUnsubscribeEvent, unsafe.Pointer(&u.subscription))
	_ = callDriver(u.fd, vidiocSubscribeEvent, unsafe.Pointer(&u.subscription))
}

// passEvent takes an event and makes its number the one that waits.
func (u *usage) passEvent() {
	var e event
	if callDriver(u.fd, vidiocDQEvent, unsafe.Pointer(&e)) != nil || e.typ != u.subscription.typ {
		return
	}
	// One slot, in which a newer number takes the place of one that was not read. Only
	// this goroutine sends, so the second step never waits.
	select {
	case <-u.users:
	default:
	}
	u.users <- int(e.count)
}

// stopWatch ends the watch and waits for its end.
func (u *usage) stopWatch() {
	one := [8]byte{1}
	_, _ = unix.Write(u.wake, one[:])
	<-u.done
	_ = unix.Close(u.wake)
}
