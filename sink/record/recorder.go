package record

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/audio"
	"github.com/tbcam/tbcam/sink/container"
)

const (
	// DefaultBuffer is the memory for frames that wait for the disk, in bytes.
	DefaultBuffer = 256 << 20
	// DefaultSync is the most that a loss of power takes away.
	DefaultSync = time.Second

	// filmRate is how many frames a second a timelapse has when it is played.
	filmRate = 30
	// syncShare bounds what was written and is not on the disk, whose frames are
	// kept for another file: the buffer divided by this.
	syncShare = 8
	// lookEvery is how often old segments are looked for.
	lookEvery = 10 * time.Second
	// maxBlock bounds a block of audio, in samples per channel.
	maxBlock = 10 * capture.AudioBlock
)

// Options configure a Recorder. Only Path, or Out, is required.
type Options struct {
	Path string    // of the file, or a pattern with the verbs of strftime(3)
	Out  io.Writer // a stream, in place of Path
	// Kind is Matroska by default, which holds all formats.
	Kind  container.Kind
	Force bool // overwrite a file that exists; by default it is an error
	// Buffer is the memory for frames that wait for the disk, in bytes, and as much
	// for the pre-roll; 0 is DefaultBuffer.
	Buffer int64
	// Sync is the longest time that a frame is in memory only, unless the disk is
	// slow; 0 is DefaultSync.
	Sync    time.Duration
	Segment Limit         // of one file; zero is no limit
	Keep    Limit         // of all files that the pattern has made; zero is no limit
	Waiting bool          // start only when Record is called; by default immediately
	PreRoll time.Duration // recorded from before each start; 0 is none
	Every   time.Duration // time-lapse: record one frame per Every; 0 records all
	// Audio is the format of the track of the blocks that Write gets beside the frames; zero
	// records none. Blocks of another number of channels are converted. A time-lapse has no
	// audio.
	Audio capture.AudioFormat
	// About returns the camera, its host and its rate, as far as known. It is called
	// when the first frame of a file has come. By default they are omitted.
	About func() (container.Tags, capture.Rate)
	// Changed, if not nil, is called with what Recording returns whenever that may have
	// changed, by any goroutine. It must not wait, nor call the recorder.
	Changed func(recording bool)
	Log     *slog.Logger // nil discards
}

// Stats are the figures of a recording so far.
type Stats struct {
	Recording bool
	File      string        // that is being written, "" for none
	Files     uint64        // that were begun
	Frames    uint64        // on the disk
	Bytes     uint64        // of these
	Length    time.Duration // from the first to the last frame of each file
	Waiting   int           // frames in memory that are to be recorded
	Held      int64         // bytes of these
	Most      int64         // that Held has been
	Dropped   uint64        // there was no memory left to wait for the disk, or no disk in the end
	Free      uint64        // bytes on the disk, when it was last asked
	Problem   string        // that keeps frames waiting
	Audio     audio.Stats   // of the track of audio
}

// Recorder records frames. It is safe for concurrent use, and ends with Close.
//
// Frames wait in a queue for one goroutine, so that a slow disk delays nothing
// else. They are kept until they are on the disk: what an error left in memory
// goes to the same file when there is room again, or to another one.
type Recorder struct {
	o       Options
	create  func(path string, o container.Options) (container.Writer, error)
	wall    func(moment time.Time) time.Time // as WallTime
	names   names
	queue   *queue
	keeper  keeper
	closing chan struct{}
	done    chan struct{} // closed when writeLoop has returned

	mu     sync.Mutex
	closed bool
	on     bool
	part   int      // of the next frame
	lapse  Schedule // of a timelapse
	missed Gap      // before the next frame
	stats  Stats
	err    error // that ended the recording for good

	// Of writeLoop alone.
	file    *file         // nil while there is none
	newest  string        // its path, or that of the one before
	waiting []entry       // to be recorded, not on the disk yet
	written int           // of waiting: are in file
	fresh   int64         // what these cost
	roll    []entry       // the newest while nothing is recorded
	idle    bool          // the last entry was not to be recorded
	stuck   bool          // an error must be overcome first
	period  time.Duration // of ticker
	slow    bool          // ticker has lookEvery instead, since there is nothing to write
	ticker  *time.Ticker
	synced  time.Time
	looked  time.Time
	before  time.Duration // the length of the files that are complete
	sound   soundtrack
}

// New starts a recorder. The error of a file that exists wraps fs.ErrExist; it is
// made when the first frame has come.
func New(o Options) (*Recorder, error) {
	r, err := newRecorder(o)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	go r.writeLoop()
	return r, nil
}

func newRecorder(o Options) (*Recorder, error) {
	o.Buffer = cmp.Or(o.Buffer, DefaultBuffer)
	o.Sync = cmp.Or(o.Sync, DefaultSync)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	r := &Recorder{
		o: o, create: container.Create, wall: WallTime, on: !o.Waiting, lapse: Schedule{Every: o.Every},
		names: names{path: cleanPath(o.Path), pattern: isPattern(o.Path), force: o.Force},
		queue: newQueue(o.Buffer, o.Log), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if o.Audio.Channels > 0 && o.Every == 0 {
		if err := o.Kind.CheckAudio(o.Audio); err != nil {
			return nil, err
		}
		r.sound.format = o.Audio
	}
	r.keeper = newKeeper(&r.names, o.Keep, o.Log)
	if o.Out == nil {
		if err := r.names.checkWritable(); err != nil {
			return nil, err
		}
	}
	r.period = min(o.Sync/2, time.Second)
	r.ticker = time.NewTicker(r.period)
	return r, nil
}

// Write takes over the reference of a received frame or block of audio and never waits.
// gap is what is missing since the last frame; of audio, numbers and times show that. The error is that which ended the recording for
// good, or wraps fs.ErrClosed.
func (r *Recorder) Write(f *capture.Frame, gap Gap) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil || r.closed:
		f.Release()
		return cmp.Or(r.err, fs.ErrClosed)
	case f.Format.IsAudio():
		r.putBlock(f)
		return nil
	case f.Format.Check() != nil: // no file is for this one
		r.missed.Damaged++
		fallthrough
	case !r.lapse.Due(captureTime(f)): // what a timelapse omits is no gap
		f.Release()
		return nil
	}
	r.missed.Add(gap)
	r.queue.putEntry(entry{frame: f, gap: r.missed, on: r.on, part: r.part})
	r.missed = Gap{}
	return nil
}

// putBlock puts a block of audio into the queue, if there is a track for it. r.mu is held.
func (r *Recorder) putBlock(f *capture.Frame) {
	if a := f.Format.Audio; r.sound.format.Channels == 0 || a.Check() != nil || len(f.Data) > maxBlock*a.SampleSize() {
		f.Release()
		return
	}
	r.queue.putEntry(entry{frame: f, on: r.on, part: r.part})
}

// Present implements sink.Sink, where nothing is known of missing frames.
func (r *Recorder) Present(f *capture.Frame) error { return r.Write(f, Gap{}) }

// Record starts or stops the recording, from the next frame on.
func (r *Recorder) Record(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if on && !r.on {
		r.part++
	}
	r.on = on
	r.notifyChanged()
}

// notifyChanged calls Options.Changed. r.mu is held.
func (r *Recorder) notifyChanged() {
	if r.o.Changed != nil {
		r.o.Changed(r.isRecording())
	}
}

// Recording reports whether frames are being recorded.
func (r *Recorder) Recording() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isRecording()
}

func (r *Recorder) isRecording() bool { return r.on && !r.closed && r.err == nil }

// Segment begins another file with the next frame.
func (r *Recorder) Segment() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part++
}

// Stats returns the figures so far.
func (r *Recorder) Stats() Stats {
	r.queue.mu.Lock()
	waiting, held, most, dropped := r.queue.count, r.queue.held, r.queue.most, r.queue.dropped
	r.queue.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Recording = r.isRecording()
	s.Waiting, s.Held, s.Most, s.Dropped = waiting, held, most, dropped
	return s
}

// Close writes what waits, completes the file and has it on the disk. It returns
// the error that kept frames from it, also when called again.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
		close(r.queue.entries)
	}
	r.mu.Unlock()
	<-r.done
	return r.err
}

// writeLoop is the goroutine that writes.
func (r *Recorder) writeLoop() {
	defer close(r.done)
	defer r.ticker.Stop()
	r.checkDisk()
	for r.runStep() {
	}
	r.finishRecording()
}

// runStep does what is next, and reports whether more is to come.
func (r *Recorder) runStep() bool {
	entries, closing := r.queue.entries, r.closing
	if r.stuck {
		entries = nil
	} else {
		closing = nil // but not before all entries were taken
	}
	select {
	case e, ok := <-entries:
		if ok {
			r.takeEntry(e)
		}
		return ok && r.err == nil
	case <-closing:
		r.tryWrite(r.saveWaiting)
		return !r.stuck && r.err == nil
	case <-r.ticker.C:
		r.handleTick()
	}
	return r.err == nil
}

// takeEntry acts on the next entry of the queue.
func (r *Recorder) takeEntry(e entry) {
	r.idle = !e.on
	if r.idle {
		r.queue.chargePreRoll(&e)
		r.roll = append(r.roll, e)
		r.trimPreRoll()
	} else {
		for i := range r.roll {
			// The frames before the start belong to the file that starts.
			r.roll[i].part = e.part
		}
		r.waiting = append(append(r.waiting, r.roll...), e)
		r.roll = nil
	}
	r.tryWrite(r.writeWaiting)
	r.paceTicker()
}

// trimPreRoll releases what is too old for the pre-roll.
func (r *Recorder) trimPreRoll() {
	newest := captureTime(r.roll[len(r.roll)-1].frame)
	n := 0
	// Differences count in either direction: capture times are the peer's, and may jump
	// back.
	for n < len(r.roll) && (newest.Sub(captureTime(r.roll[n].frame)).Abs() >= r.o.PreRoll || r.queue.preRollFull()) {
		r.queue.releaseEntries(r.roll[n:n+1], false)
		n++
	}
	r.roll = r.roll[n:]
}

// handleTick does what is due, whether frames come or not.
func (r *Recorder) handleTick() {
	if len(r.queue.entries) == 0 && !r.Recording() {
		r.idle = true
	}
	// The tick that is nearest to half of the interval.
	if r.stuck || time.Since(r.synced) > (r.o.Sync-r.period)/2 {
		r.tryWrite(r.saveWaiting)
	} else {
		r.tryWrite(r.writeWaiting)
	}
	r.checkDisk()
	r.paceTicker()
}

// paceTicker has the ticker wake this goroutine seldom while there is nothing to write.
func (r *Recorder) paceTicker() {
	slow := r.file == nil && len(r.waiting) == 0 && !r.stuck
	switch {
	case slow == r.slow:
	case slow:
		r.ticker.Reset(max(lookEvery, r.period))
	default:
		r.ticker.Reset(r.period)
	}
	r.slow = slow
}

// saveWaiting writes what waits, and has it on the disk.
func (r *Recorder) saveWaiting() error {
	if err := r.writeWaiting(); err != nil {
		return err
	}
	return r.syncFile()
}

// saveAll is saveWaiting at the end, when no frame comes for the audio that waits.
func (r *Recorder) saveAll() error {
	if err := r.writeWaiting(); err != nil {
		return err
	}
	if r.file != nil {
		if err := r.sound.writeRest(r.file); err != nil {
			return err
		}
	}
	return r.syncFile()
}

// tryWrite does something, and keeps what waits if that fails.
func (r *Recorder) tryWrite(do func() error) {
	if err := r.retryWithRoom(do); err != nil {
		r.noteFailure(err)
	} else {
		r.noteRecovered()
	}
}

// retryWithRoom does something until it succeeds, as long as room can be made for it.
func (r *Recorder) retryWithRoom(do func() error) error {
	for {
		if err := do(); err == nil || !isFull(err) || !r.keeper.makeRoom(r.newest) {
			return err
		}
	}
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// writeWaiting writes what waits, and ends the file where nothing is to be recorded now.
func (r *Recorder) writeWaiting() error {
	for r.written < len(r.waiting) {
		if err := r.putFrame(r.waiting[r.written]); err != nil {
			return err
		}
		r.written++
		r.fresh += r.waiting[r.written-1].cost()
		// Frames that are written but not synced are kept for another file. Sync before
		// they take the memory that a slow disk needs.
		if r.fresh > r.o.Buffer/syncShare {
			if err := r.syncFile(); err != nil {
				return err
			}
		}
	}
	if r.idle && r.o.Out == nil {
		return r.endPart()
	}
	if r.file != nil {
		return r.sound.writeExcess(r.file)
	}
	return nil
}

// endPart ends the file where no other follows.
func (r *Recorder) endPart() error {
	if r.file != nil {
		if err := r.sound.writeRest(r.file); err != nil {
			return err
		}
	}
	if err := r.endFile(); err != nil {
		return err
	}
	r.sound.reset()
	return nil
}

// putFrame writes a frame to the file it belongs to, after the audio of before it. A block
// of audio waits for the next frame, which shows what file it is for.
func (r *Recorder) putFrame(e entry) error {
	if e.frame.Format.IsAudio() {
		r.sound.takeBlock(e.frame)
		return nil
	}
	if err := r.o.Kind.Check(e.frame.Format); err != nil {
		return fatal{err}
	}
	if r.file != nil {
		if err := r.sound.writeUntil(r.file, captureTime(e.frame)); err != nil {
			return err
		}
	}
	if r.file != nil && r.file.endsBefore(e, r.o.Segment) && r.o.Out == nil {
		if err := r.endFile(); err != nil {
			return err
		}
	}
	if r.file == nil {
		if err := r.openFile(e); err != nil {
			return err
		}
	}
	if r.file.format != e.frame.Format {
		return fatal{ErrFormatChanged}
	}
	return r.file.writeEntry(e, r.timeInFile(e))
}

// timeInFile returns the time of a frame in the file.
func (r *Recorder) timeInFile(e entry) time.Duration {
	if r.o.Every > 0 {
		return time.Duration(r.file.frames) * time.Second / filmRate
	}
	return captureTime(e.frame).Sub(r.file.start)
}

// syncFile has on the disk what was written.
func (r *Recorder) syncFile() error {
	r.synced = time.Now()
	if r.file == nil || r.written == 0 {
		return nil
	}
	if err := r.file.checkName(); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return err
	}
	r.releaseWritten()
	return nil
}

// releaseWritten gives back the frames that are on the disk.
func (r *Recorder) releaseWritten() {
	done := r.waiting[:r.written]
	r.mu.Lock()
	for _, e := range done {
		if !e.frame.Format.IsAudio() {
			r.stats.Frames++
		}
		r.stats.Bytes += uint64(len(e.frame.Data))
	}
	r.stats.Length = r.before + r.file.end.Sub(r.file.start)
	r.stats.Audio = r.sound.stats()
	r.mu.Unlock()
	r.queue.releaseEntries(done, false)
	r.waiting = slices.Delete(r.waiting, 0, r.written)
	r.written, r.fresh = 0, 0
}

// endFile completes the file. All that was to be in it is on the disk before, so an
// error then leaves one that can be repaired.
func (r *Recorder) endFile() error {
	if err := r.syncFile(); err != nil {
		return err
	}
	r.completeFile(nil)
	return nil
}

// completeFile closes the file. What keeps the index from it is logged, unless err has
// kept frames from it, too.
func (r *Recorder) completeFile(err error) {
	if r.file == nil {
		return
	}
	about := r.describeFile()
	closing := r.file.Close()
	switch {
	case err != nil:
	case closing == nil:
		r.o.Log.Info(about)
	case r.o.Out == nil: // the error of a pipe was returned already, and no pipe can be repaired
		r.o.Log.Warn("recording was not finalized", "file", r.newest, "err", notFinalized{closing})
	}
	r.leaveFile()
	r.keeper.deleteBeyondLimit(r.newest)
}

// leaveFile forgets the file. When it was changed last is when its last frame was
// captured, for those who look for old ones.
func (r *Recorder) leaveFile() {
	if r.file.path != "" && r.file.checkName() == nil {
		end := r.wall(r.file.end)
		_ = os.Chtimes(r.file.path, end, end)
		r.keeper.noteCompleted(r.file.path, r.file.end)
	}
	r.before += r.file.end.Sub(r.file.start)
	r.file = nil
	r.noteFile("")
}

// fatal is an error that waiting does not fix.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// noteFailure keeps what waits until the disk works again. On a full one the same file
// continues then; where that was removed or has failed, another.
func (r *Recorder) noteFailure(err error) {
	if !isFull(err) && r.file != nil && r.o.Out == nil {
		// The file is left as it is, to be repaired: what was not synced is written
		// again, to the next one.
		_ = r.file.Close() // its error is no better than err
		r.leaveFile()
		r.written, r.fresh = 0, 0
		r.sound.reset()
	}
	if first := !r.stuck; first && !errors.As(err, new(fatal)) && r.o.Out == nil {
		r.o.Log.Error("recording stalled; it resumes when possible", "err", err)
	}
	r.stuck = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Problem = err.Error()
	if errors.As(err, new(fatal)) || r.o.Out != nil {
		r.err = fmt.Errorf("record: %w", err)
		r.notifyChanged()
	}
}

// noteRecovered notes that the disk works.
func (r *Recorder) noteRecovered() {
	if !r.stuck {
		return
	}
	r.stuck = false
	r.o.Log.Info("recording resumed", "file", r.newest)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Problem = ""
}

// checkDisk removes old segments and asks how much room is left, now and then.
func (r *Recorder) checkDisk() {
	if r.o.Out != nil {
		return
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(r.names.rootDir(), &disk); err == nil {
		r.mu.Lock()
		r.stats.Free = disk.Bavail * uint64(disk.Bsize)
		r.mu.Unlock()
	}
	if time.Since(r.looked) >= lookEvery {
		r.looked = time.Now()
		r.keeper.deleteBeyondLimit(r.newest)
	}
}

// noteFile notes for Stats which file is being written.
func (r *Recorder) noteFile(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.File = path
	if path != "" {
		r.stats.Files++
	}
}

// finishRecording tries once more to write what waits; what cannot be is lost.
func (r *Recorder) finishRecording() {
	var err error
	if r.err == nil {
		err = r.retryWithRoom(r.saveAll)
	}
	r.completeFile(err)
	r.sound.reset()
	r.queue.releaseEntries(r.waiting, true)
	r.queue.releaseEntries(r.roll, false)
	if err != nil {
		r.mu.Lock()
		r.err = fmt.Errorf("record: %w", err)
		r.mu.Unlock()
	}
	for e := range r.queue.entries {
		r.queue.releaseEntries([]entry{e}, true)
	}
}
