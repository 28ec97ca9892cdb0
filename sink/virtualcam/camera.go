package virtualcam

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
)

// Times of a virtual camera.
const (
	// grace is how long after the last application the far camera stays on:
	// applications open a camera several times before they use it.
	grace = 3 * time.Second
	// stale is how long the last picture is shown when no other comes and nobody
	// says why.
	stale = 3 * time.Second
	// placeholderEvery is the time between two placeholders.
	placeholderEvery = 250 * time.Millisecond
	// retry is how long a node that could not be opened is left alone.
	retry = time.Second
)

// defaultRate is that of a node where none is wanted.
var defaultRate = capture.Rate{Num: 30, Den: 1}

// Options describe a virtual camera.
type Options struct {
	Node   string         // path of a v4l2loopback node, or Auto
	Format capture.Format // what was asked for: pixel format and size, or zeros
	Want   capture.Format // size that the camera was asked for, or zero
	Rate   capture.Rate   // that applications see; zero is 30 frames per second
	Fit    codec.Fit
	// OnDemand has Need called with false while no application reads the camera,
	// where the driver can tell.
	OnDemand bool
	// Need is told whether pictures are needed, at each change.
	Need func(bool)
	// Shown, if not nil, is called after each new picture was written, and before
	// its release.
	Shown func(*capture.Frame)
	// Decoded, if not nil, is told of each JPEG of a node that has JPEGs why it cannot
	// be decoded, nil that it can.
	Decoded func(error)
	Pool    *capture.Pool
	Log     *slog.Logger
}

// output is an open node; v4l2.Output is one.
type output interface {
	Write(f *capture.Frame) error
	Users() (<-chan int, error)
	Close() error
}

// Camera is a virtual camera. From Start to Close it writes pictures to its node,
// whatever happens: those that Present gets, the last of them again where the next
// is late, and else a placeholder. It opens the node again whenever that fails, in
// the format that it had first.
type Camera struct {
	o      Options
	system system
	open   func(path string, f capture.Format, r capture.Rate) (output, error)
	period time.Duration

	needed  atomic.Bool  // somebody looks, or may
	jpegs   atomic.Bool  // the node has JPEGs
	notice  atomic.Value // a string: what is waited for, as the viewer says
	dark    atomic.Bool  // the last picture is not to be seen any more
	timer   *time.Timer  // when something is to be written, or the node opened
	leaving *time.Timer  // when the grace ends
	closing chan struct{}
	done    chan struct{}
	trouble error // of Open

	mu      sync.Mutex
	node    string     // that was opened last
	output  output     // nil while it is closed
	users   <-chan int // of output; nil where the driver does not tell
	looking int        // applications that look
	painter *painter   // nil before the format is chosen
	said    string     // why the node could not be used
	told    bool       // what is not as it should be, once

	last        *capture.Frame // that readers see; nil for the placeholder
	lastAt      time.Time      // when it was new
	since       time.Time      // there is no picture
	placeholder *capture.Frame // nil before the first one
	text        []string       // of placeholder
}

// New returns a virtual camera that is not started yet.
func New(o Options) *Camera {
	return newCamera(o, machine{}, func(path string, f capture.Format, r capture.Rate) (output, error) {
		return v4l2.OpenOutput(path, f, r)
	})
}

func newCamera(o Options, s system, open func(string, capture.Format, capture.Rate) (output, error)) *Camera {
	if o.Rate.FPS() == 0 {
		o.Rate = defaultRate
	}
	c := &Camera{
		o: o, system: s, open: open, period: time.Duration(float64(time.Second) / o.Rate.FPS()), since: time.Now(),
		timer: time.NewTimer(0), leaving: time.NewTimer(0), closing: make(chan struct{}), done: make(chan struct{}),
	}
	c.leaving.Stop()
	c.notice.Store("")
	return c
}

// Start begins. The error says why the node cannot be used yet; it is tried again
// until Close.
func (c *Camera) Start() error {
	c.mu.Lock()
	err := c.reopen(true)
	c.mu.Unlock()
	go c.run()
	return err
}

// Name implements sink.Output.
func (c *Camera) Name() string { return "virtual camera " + c.o.Node }

// Open implements sink.Output: it starts the camera. It never fails; Trouble returns
// why the node cannot be used yet.
func (c *Camera) Open() (sink.Sink, error) {
	c.trouble = c.Start()
	return c, nil
}

// Trouble returns why the node could not be used when the camera was opened. It is
// not safe for concurrent use with Open.
func (c *Camera) Trouble() error { return c.trouble }

// Notice implements sink.Noticer. A notice is shown until the next picture.
func (c *Camera) Notice(n sink.Notice) {
	c.notice.Store(n.Brief)
	if n.Brief != "" {
		c.dark.Store(true)
		c.timer.Reset(0)
	}
}

// Takes implements sink.Output.
func (c *Camera) Takes() sink.Need {
	switch {
	case !c.needed.Load():
		return sink.Nothing
	case c.jpegs.Load():
		return sink.Received
	}
	return sink.Decoded
}

// Present takes over the reference. It never fails: what befalls the node must not
// befall the application that reads it.
func (c *Camera) Present(f *capture.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.output == nil || !c.needed.Load() {
		f.Release()
		return nil
	}
	painted, err := c.painter.paint(f)
	if c.o.Decoded != nil && c.jpegs.Load() {
		c.o.Decoded(err)
	}
	if err != nil {
		c.o.Log.Debug("frame dropped", "err", err)
		return nil
	}
	if err := c.write(painted); err != nil {
		painted.Release()
		return nil
	}
	c.blank()
	c.last, c.lastAt = painted, time.Now()
	c.timer.Reset(c.period * 3 / 2) // before that it is not late
	if c.o.Shown != nil {
		c.o.Shown(painted)
	}
	return nil
}

// Close gives the node up. It is called once, after Start and the last Present.
func (c *Camera) Close() error {
	close(c.closing)
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blank()
	if c.placeholder != nil {
		c.placeholder.Release()
	}
	if c.painter != nil {
		c.painter.close()
	}
	if c.output == nil {
		return nil
	}
	return c.output.Close()
}

// run does what is due.
func (c *Camera) run() {
	defer close(c.done)
	for {
		c.mu.Lock()
		users := c.users
		c.mu.Unlock()
		select {
		case <-c.timer.C:
			c.tick()
		case n, ok := <-users:
			c.count(users, n, ok)
		case <-c.leaving.C:
			c.leave()
		case <-c.closing:
			return
		}
	}
}

// tick opens the node, or writes what readers are to see now.
func (c *Camera) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.output == nil {
		_ = c.reopen(false) // which says why not, and tries again
		return
	}
	_ = c.show()
}

// show writes the last picture again, or a placeholder.
func (c *Camera) show() error {
	if c.dark.Swap(false) || c.last == nil || time.Since(c.lastAt) >= max(stale, 3*c.period) {
		c.blank()
		return c.showPlaceholder()
	}
	c.timer.Reset(c.period)
	return c.write(c.last)
}

// blank forgets the last picture.
func (c *Camera) blank() {
	if c.last != nil {
		c.last.Release()
		c.last, c.since = nil, time.Now()
	}
}

func (c *Camera) showPlaceholder() error {
	c.timer.Reset(placeholderEvery)
	if lines := c.lines(); c.placeholder == nil || !slices.Equal(lines, c.text) {
		f, err := c.painter.write(lines)
		if err != nil {
			c.o.Log.Debug("no placeholder", "why", err)
			return err
		}
		if c.placeholder != nil {
			c.placeholder.Release()
		}
		c.placeholder, c.text = f, lines
	}
	return c.write(c.placeholder)
}

// lines returns the text of the placeholder.
func (c *Camera) lines() []string {
	if !c.needed.Load() {
		return []string{"the camera is off", "until an application looks"}
	}
	return []string{"no signal", cmp.Or(c.notice.Load().(string), "waiting for the camera"), "since " + c.since.Format(time.TimeOnly)}
}

// write gives a picture to the readers. After most errors the node is closed, to
// be opened again.
func (c *Camera) write(f *capture.Frame) error {
	err := c.output.Write(f)
	switch {
	case errors.Is(err, v4l2.ErrFormat): // a JPEG that is too large
		c.o.Log.Debug("picture dropped", "why", err)
	case err != nil:
		c.fail(cmp.Or(err, c.output.Close()))
		c.output, c.users = nil, nil
	}
	return err
}

// fail says once why the node cannot be used, and has it tried again.
func (c *Camera) fail(err error) {
	if err.Error() != c.said && !(c.said != "" && errors.Is(err, errNoneFree)) {
		c.said = err.Error()
		c.o.Log.Warn(c.said)
	}
	c.timer.Reset(retry)
}

// count takes note of how many applications look; ok is false at the end of users.
func (c *Camera) count(users <-chan int, n int, ok bool) {
	c.mu.Lock()
	if !ok {
		if c.users == users {
			c.users = nil
		}
		c.mu.Unlock()
		return
	}
	before := c.looking
	c.looking = n
	c.mu.Unlock()
	switch {
	case n > 0:
		c.leaving.Stop()
		c.look()
	case before > 0:
		c.leaving.Reset(grace)
	}
}

// look has the far camera turned on.
func (c *Camera) look() {
	if c.needed.Swap(true) {
		return
	}
	c.o.Log.Info("an application reads the virtual camera", "node", c.node)
	c.mu.Lock()
	c.since = time.Now()
	c.mu.Unlock()
	c.timer.Reset(0)
	c.o.Need(true)
}

// leave has the far camera turned off. What it showed last is not what the next
// application is to see first.
func (c *Camera) leave() {
	if !c.needed.Swap(false) {
		return
	}
	c.o.Log.Info("no application reads the virtual camera any more", "node", c.node)
	c.mu.Lock()
	c.blank()
	c.mu.Unlock()
	c.timer.Reset(0)
	c.o.Need(false)
}

// reopen opens the node, or the first one that is free; create allows to make one.
func (c *Camera) reopen(create bool) error {
	err := c.openAny()
	if create && c.needsAnother(err) {
		err = c.openMade(err)
	}
	if err != nil {
		if create {
			c.said = err.Error() // by the caller
		}
		c.fail(err)
		return err
	}
	c.said = ""
	return nil
}

// needsAnother reports whether an error of openAny says that only a node that is made
// would do.
func (c *Camera) needsAnother(err error) bool {
	return errors.Is(err, errNoneFree) || c.o.Node == Auto && errors.Is(err, v4l2.ErrFormat)
}

// openMade makes a node and opens that. Where it cannot, a node of another format is
// the reason to state: none is missing.
func (c *Camera) openMade(why error) error {
	err := makeNode(c.system)
	switch {
	case err == nil:
		return c.openNew()
	case errors.Is(why, v4l2.ErrFormat):
		return why
	}
	return err
}

// openNew opens a node that was made just now: udev makes it accessible only after
// it is there.
func (c *Camera) openNew() (err error) {
	for range 10 {
		if err = c.openAny(); err == nil {
			return nil
		}
		time.Sleep(retry / 10)
	}
	return err
}

// errNoneFree says that there is no node, or that programs write to all of them.
var errNoneFree = errors.New("find a virtual camera: no v4l2loopback node is free")

func (c *Camera) openAny() error {
	candidates, err := nodes(c.system, c.o.Node)
	if err != nil {
		return err
	}
	// Applications know the one that was there before.
	if same := slices.IndexFunc(candidates, func(n v4l2.LoopbackNode) bool { return n.Path == c.node }); same >= 0 {
		candidates = candidates[same : same+1]
	}
	err = errNoneFree
	for _, n := range candidates {
		opening := c.openNode(n)
		if opening == nil {
			return nil
		}
		if !errors.Is(err, v4l2.ErrFormat) { // which says most
			err = opening
		}
	}
	if c.o.Node == Auto && errors.Is(err, v4l2.ErrInUse) {
		return fmt.Errorf("%w: %w", errNoneFree, err)
	}
	return err
}

// openNode opens a node in the format that the camera has. The first time that is the
// one that is wanted; where no size was asked for, a node that cannot have the wanted
// one is used at the size that it can have.
func (c *Camera) openNode(n v4l2.LoopbackNode) error {
	if c.painter != nil {
		return withRemedy(c.openAs(n, c.painter))
	}
	wanted := c.o.choose(n.Format)
	err := c.openFirst(n, wanted)
	var has *v4l2.FormatError
	if errors.As(err, &has) && c.o.Format.Width == 0 {
		has.Keeps.Width, has.Keeps.Height = has.Keeps.Width&^1, has.Keeps.Height&^1
		if fitting := c.o.choose(has.Keeps); fitting != wanted {
			err = c.openFirst(n, fitting)
		}
	}
	return withRemedy(err)
}

// openFirst opens a node in a format that the camera has from then on.
func (c *Camera) openFirst(n v4l2.LoopbackNode, format capture.Format) error {
	painter, err := newPainter(format, c.o.Fit, c.o.Pool)
	if err != nil {
		return err
	}
	if err = c.openAs(n, painter); c.painter == nil {
		painter.close() // another node may get another format
	}
	return err
}

func (c *Camera) openAs(n v4l2.LoopbackNode, p *painter) error {
	o, err := c.open(n.Path, p.format, c.o.Rate)
	if err != nil {
		return err
	}
	c.node, c.output, c.painter = n.Path, o, p
	c.jpegs.Store(p.format.Pixel.Compressed())
	c.watch()
	// With exclusive_caps=1 it is a camera only now.
	if err := c.show(); c.output == nil {
		return err
	}
	c.o.Log.Info("virtual camera is there", "node", n.Path, "name", n.Name, "format", p.format)
	c.tell(n)
	return nil
}

// withRemedy says what the user can do.
func withRemedy(err error) error {
	switch {
	case errors.Is(err, v4l2.ErrInUse):
		return fmt.Errorf("%w; end that, or use --loopback auto", err)
	case errors.Is(err, v4l2.ErrFormat):
		return fmt.Errorf("%w; end what reads it, or leave --loopback-size and --loopback-format out", err)
	}
	return err
}

// tell says once what users may not expect of the node.
func (c *Camera) tell(n v4l2.LoopbackNode) {
	if c.told {
		return
	}
	c.told = true
	if !n.Exclusive {
		c.o.Log.Warn("Chromium and others do not see " + n.Path + ", which is an output as well; run: sudo modprobe -r v4l2loopback; " + LoadCommand)
	}
	switch wanted := c.o.choose(n.Format); {
	case c.painter.format != wanted:
		c.o.Log.Warn("the node cannot have the wanted size; it is used at the size that it can have", "wanted", wanted, "node", n.Path)
	case wanted != c.o.choose(capture.Format{}):
		c.o.Log.Info("the node had its format before; --loopback-size and --loopback-format choose another")
	}
}

// watch follows the applications where that is wanted and the driver tells.
func (c *Camera) watch() {
	if c.o.OnDemand {
		users, err := c.output.Users()
		if err == nil {
			c.users = users
			return
		}
		c.o.Log.Info("the camera stays on", "why", err)
		c.o.OnDemand = false
	}
	if !c.needed.Swap(true) {
		c.o.Need(true)
	}
}
