package virtualcam

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink"
)

// Times of a virtual camera.
const (
	// grace is how long after the last application the far camera stays on:
	// applications open a camera several times before they use it.
	grace = 3 * time.Second
	// stale is how long the last frame is shown when no other comes and nobody
	// logs why.
	stale = 3 * time.Second
	// placeholderEvery is the time between two placeholders.
	placeholderEvery = 250 * time.Millisecond
	// retry is how long a node that could not be opened is left alone, at most.
	retry = time.Second
	// firstRetry is how long it is left alone at first: a PipeWire that was restarted
	// serves before its session manager does, so the first attempts fail.
	firstRetry = retry / 4
)

// defaultRate is that of a node where none is wanted.
var defaultRate = capture.Rate{Num: 30, Den: 1}

// Options describe a virtual camera.
type Options struct {
	Driver Driver         // of the node
	Node   string         // its path, or Auto
	Format capture.Format // what was asked for: pixel format and size, or zeros
	Want   capture.Format // size that the camera was asked for, or zero
	Rate   capture.Rate   // that applications see; zero is 30 frames per second
	Fit    codec.Fit
	// Placeholder is the text of the frame that is shown while there is none, instead of
	// what is waited for and since when; "" for that.
	Placeholder string
	// OnDemand has Need called with false while no application reads the camera,
	// where the driver can report it.
	OnDemand bool
	// Need, if not nil, is called with whether frames are needed, at each change.
	Need func(bool)
	// Shown, if not nil, is called after each new frame was written, and before
	// its release.
	Shown func(*capture.Frame)
	// Decoded, if not nil, is called for each JPEG of a node that takes JPEGs with why
	// it cannot be decoded, or nil.
	Decoded func(error)
	// Explain, if not nil, returns how an error is logged, for instance with a remedy.
	Explain func(error) string
	Pool    *capture.Pool // nil means one of its own
	Log     *slog.Logger  // nil discards
}

// Camera is a virtual camera. From Start to Close it writes frames to its node,
// whatever happens: those that Present gets, the last of them again where the next
// is late, and else a placeholder. It opens the node again whenever that fails, in
// the format that it had first.
type Camera struct {
	o      Options
	period time.Duration

	needed  atomic.Bool  // somebody looks, or may
	jpegs   atomic.Bool  // the node has JPEGs
	notice  atomic.Value // a string: what is waited for, from Notice
	dark    atomic.Bool  // the last frame is not to be seen any more
	timer   *time.Timer  // when something is to be written, or the node opened
	leaving *time.Timer  // when the grace ends
	closing chan struct{}
	done    chan struct{}
	trouble error // of Open

	mu      sync.Mutex
	node    string     // that was opened last
	output  Node       // nil while it is closed
	users   <-chan int // of output; nil where the driver does not count them
	looking int        // applications that look
	painter *painter   // nil before the format is chosen
	logged  string     // why the node could not be used
	failing time.Time  // since when; zero while it can
	warned  bool       // of what is not as it should be

	last        *capture.Frame // that readers see; nil for the placeholder
	lastAt      time.Time      // when it was new
	since       time.Time      // there is no frame
	placeholder *capture.Frame // nil before the first one
	text        []string       // of placeholder
	description string         // for nodes that applications show by one; "" for the node's own
	kept        uint64         // frames that readers of former nodes kept from being written
}

// New returns a virtual camera that is not started yet.
func New(o Options) *Camera {
	if o.Rate.FPS() == 0 {
		o.Rate = defaultRate
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pool == nil {
		o.Pool = &capture.Pool{}
	}
	if o.Driver == nil {
		o.Driver = noDriver{}
	}
	if o.Need == nil {
		o.Need = func(bool) {}
	}
	if o.Explain == nil {
		o.Explain = error.Error
	}
	c := &Camera{
		o: o, period: time.Duration(float64(time.Second) / o.Rate.FPS()), since: time.Now(),
		timer: time.NewTimer(0), leaving: time.NewTimer(0), closing: make(chan struct{}), done: make(chan struct{}),
	}
	c.leaving.Stop()
	c.notice.Store("")
	return c
}

// Start begins. The error is why the node cannot be used yet; it is tried again
// until Close.
func (c *Camera) Start() error {
	c.mu.Lock()
	err := c.reopenNode(true)
	c.mu.Unlock()
	go c.writeLoop()
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

// Notice implements sink.Noticer. A notice is shown until the next frame.
func (c *Camera) Notice(n sink.Notice) {
	c.notice.Store(n.Brief)
	if n.Brief != "" {
		c.dark.Store(true)
		c.timer.Reset(0)
	}
}

// Describe changes the name by which applications show the camera, where they do.
func (c *Camera) Describe(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.description = text
	c.describe()
}

// describe gives the node its description.
func (c *Camera) describe() {
	d, ok := c.output.(Describer)
	if !ok || c.description == "" {
		return
	}
	if err := d.Describe(c.description); err != nil {
		c.o.Log.Debug("describe the virtual camera", "err", err)
	}
}

// Report implements sink.Reporter.
func (c *Camera) Report() []sink.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept + keptBy(c.output)
	if kept == 0 {
		return nil
	}
	return []sink.Outcome{{Name: "kept by readers of the virtual camera", Count: kept}}
}

// keptBy returns how many frames a node dropped because readers kept all buffers.
func keptBy(n Node) uint64 {
	if k, ok := n.(Keeper); ok {
		return k.Kept()
	}
	return 0
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
	painted, err := c.painter.paintFrame(f)
	if c.o.Decoded != nil && c.jpegs.Load() {
		c.o.Decoded(err)
	}
	if err != nil {
		c.o.Log.Debug("frame dropped", "err", err)
		return nil
	}
	if err := c.writeFrame(painted); err != nil {
		painted.Release()
		return nil
	}
	c.dropLast()
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
	c.dropLast()
	if c.placeholder != nil {
		c.placeholder.Release()
	}
	if c.painter != nil {
		c.painter.closeCodecs()
	}
	if c.output == nil {
		return nil
	}
	return c.output.Close()
}

// writeLoop does what is due.
func (c *Camera) writeLoop() {
	defer close(c.done)
	for {
		c.mu.Lock()
		users := c.users
		c.mu.Unlock()
		select {
		case <-c.timer.C:
			c.writeDue()
		case n, ok := <-users:
			c.countUsers(users, n, ok)
		case <-c.leaving.C:
			c.turnOff()
		case <-c.closing:
			return
		}
	}
}

// writeDue opens the node, or writes what readers are to see now.
func (c *Camera) writeDue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.output == nil {
		_ = c.reopenNode(false) // which logs why not, and tries again
		return
	}
	_ = c.writeLast()
}

// writeLast writes the last frame again, or a placeholder.
func (c *Camera) writeLast() error {
	if c.dark.Swap(false) || c.last == nil || time.Since(c.lastAt) >= max(stale, 3*c.period) {
		c.dropLast()
		return c.showPlaceholder()
	}
	c.timer.Reset(c.period)
	return c.writeFrame(c.last)
}

// dropLast forgets the last frame.
func (c *Camera) dropLast() {
	if c.last != nil {
		c.last.Release()
		c.last, c.since = nil, time.Now()
	}
}

func (c *Camera) showPlaceholder() error {
	c.timer.Reset(placeholderEvery)
	if lines := c.placeholderLines(); c.placeholder == nil || !slices.Equal(lines, c.text) {
		f, err := c.painter.drawText(lines)
		if err != nil {
			c.o.Log.Debug("draw the placeholder", "err", err)
			return err
		}
		if c.placeholder != nil {
			c.placeholder.Release()
		}
		c.placeholder, c.text = f, lines
	}
	return c.writeFrame(c.placeholder)
}

// placeholderLines returns the text of the placeholder.
func (c *Camera) placeholderLines() []string {
	if c.o.Placeholder != "" {
		return strings.Split(c.o.Placeholder, "\n")
	}
	if !c.needed.Load() {
		return []string{"The camera is off", "until an application looks"}
	}
	return []string{"No signal", cmp.Or(c.notice.Load().(string), "waiting for the camera"), "since " + c.since.Format(time.TimeOnly)}
}

// writeFrame gives a frame to the readers. After most errors the node is closed, to
// be opened again.
func (c *Camera) writeFrame(f *capture.Frame) error {
	err := c.output.Write(f)
	switch {
	case errors.Is(err, ErrFormat): // a JPEG that is too large
		c.o.Log.Debug("frame dropped", "err", err)
	case err != nil:
		c.kept += keptBy(c.output)
		c.retryAfter(cmp.Or(err, c.output.Close()))
		c.output, c.users = nil, nil
	}
	return err
}

// retryAfter logs once why the node cannot be used, and has it tried again: the later, the
// longer that lasts.
func (c *Camera) retryAfter(err error) {
	if err.Error() != c.logged && !(c.logged != "" && errors.Is(err, ErrNoneFree)) {
		c.logged = err.Error()
		c.o.Log.Warn(c.o.Explain(err))
	}
	if c.failing.IsZero() {
		c.failing = time.Now()
	}
	c.timer.Reset(min(max(firstRetry, time.Since(c.failing)/4), retry))
}

// Users returns how many applications look, as far as the node counts them.
func (c *Camera) Users() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looking
}

// countUsers takes note of how many applications look; ok is false at the end of users.
func (c *Camera) countUsers(users <-chan int, n int, ok bool) {
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
		c.turnOn()
	case before > 0:
		c.leaving.Reset(grace)
	}
}

// turnOn has the far camera turned on.
func (c *Camera) turnOn() {
	if c.needed.Swap(true) {
		return
	}
	c.o.Log.Info("an application opened the virtual camera", "node", c.node)
	c.mu.Lock()
	c.since = time.Now()
	c.mu.Unlock()
	c.timer.Reset(0)
	c.o.Need(true)
}

// turnOff has the far camera turned off. What it showed last is not what the next
// application is to see first.
func (c *Camera) turnOff() {
	if !c.needed.Swap(false) {
		return
	}
	c.o.Log.Info("no application reads the virtual camera", "node", c.node)
	c.mu.Lock()
	c.dropLast()
	c.mu.Unlock()
	c.timer.Reset(0)
	c.o.Need(false)
}

// reopenNode opens the node, or the first one that is free; create allows to make one.
func (c *Camera) reopenNode(create bool) error {
	err := c.openAny()
	if create && c.needsAnother(err) {
		err = c.openMade(err)
	}
	if err != nil {
		if create {
			c.logged = err.Error() // by the caller
		}
		c.retryAfter(err)
		return err
	}
	c.logged, c.failing = "", time.Time{}
	return nil
}

// needsAnother reports whether after an error of openAny only a node that is made
// would do.
func (c *Camera) needsAnother(err error) bool {
	return errors.Is(err, ErrNoneFree) || c.o.Node == Auto && errors.Is(err, ErrFormat)
}

// openMade makes a node and opens that. Where it cannot, a node of another format is
// the reason to state: none is missing.
func (c *Camera) openMade(cause error) error {
	err := c.o.Driver.Make()
	switch {
	case err == nil:
		return c.openNew()
	case errors.Is(cause, ErrFormat):
		return cause
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

func (c *Camera) openAny() error {
	candidates, err := c.o.Driver.Nodes(c.o.Node)
	if err != nil {
		return err
	}
	// Applications know the one that was there before.
	if same := slices.IndexFunc(candidates, func(n NodeInfo) bool { return n.Path == c.node }); same >= 0 {
		candidates = candidates[same : same+1]
	}
	err = ErrNoneFree
	for _, n := range candidates {
		opening := c.openNode(n)
		if opening == nil {
			return nil
		}
		if all := new(DriverError); errors.As(opening, &all) {
			return opening
		}
		if !errors.Is(err, ErrFormat) { // which explains most
			err = opening
		}
	}
	if c.o.Node == Auto && errors.Is(err, ErrInUse) {
		return fmt.Errorf("%w: %w", ErrNoneFree, err)
	}
	return err
}

// openNode opens a node in the format that the camera has. The first time that is the
// one that is wanted; where no size was asked for, a node that cannot have the wanted
// one is used at the size that it can have.
func (c *Camera) openNode(n NodeInfo) error {
	if c.painter != nil {
		return c.openAs(n, c.painter)
	}
	wanted := c.o.chooseFormat(n.Format)
	err := c.openFirst(n, wanted)
	var has *FormatError
	if errors.As(err, &has) && c.o.Format.Width == 0 {
		has.Keeps.Width, has.Keeps.Height = has.Keeps.Width&^1, has.Keeps.Height&^1
		if fitting := c.o.chooseFormat(has.Keeps); fitting != wanted {
			err = c.openFirst(n, fitting)
		}
	}
	return err
}

// openFirst opens a node in a format that the camera has from then on.
func (c *Camera) openFirst(n NodeInfo, format capture.Format) error {
	painter, err := newPainter(format, c.o.Fit, c.o.Pool)
	if err != nil {
		return err
	}
	if err = c.openAs(n, painter); c.painter == nil {
		painter.closeCodecs() // another node may get another format
	}
	return err
}

func (c *Camera) openAs(n NodeInfo, p *painter) error {
	o, err := c.o.Driver.Open(n.Path, p.format, c.o.Rate)
	if err != nil {
		return err
	}
	c.node, c.output, c.painter = n.Path, o, p
	c.describe()
	c.jpegs.Store(p.format.Pixel.Compressed())
	c.watchUsers()
	// With exclusive_caps=1 it is a camera only now.
	if err := c.writeLast(); c.output == nil {
		return err
	}
	c.o.Log.Info("virtual camera is ready", "node", n.Path, "name", n.Name, "format", p.format)
	c.warnOnce(n)
	return nil
}

// warnOnce logs what users may not expect of the node.
func (c *Camera) warnOnce(n NodeInfo) {
	if c.warned {
		return
	}
	c.warned = true
	if n.Warning != "" {
		c.o.Log.Warn(n.Warning)
	}
	switch wanted := c.o.chooseFormat(n.Format); {
	case c.painter.format != wanted:
		c.o.Log.Warn("the node cannot have the wanted size; it is used at the size that it can have", "wanted", wanted, "node", n.Path)
	case wanted != c.o.chooseFormat(capture.Format{}):
		c.o.Log.Info("the node keeps the format that it had before", "format", wanted, "node", n.Path)
	}
}

// watchUsers follows the applications where that is wanted and the driver counts them.
func (c *Camera) watchUsers() {
	if c.o.OnDemand {
		users, err := c.output.Users()
		if err == nil {
			c.users = users
			return
		}
		c.o.Log.Info("the camera stays on without readers", "err", err)
		c.o.OnDemand = false
	}
	if !c.needed.Swap(true) {
		c.o.Need(true)
	}
}
