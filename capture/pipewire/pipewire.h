// What Go calls. C never calls Go: each object has an eventfd, which is written when
// something has changed, and Go asks what.
#ifndef TBCAM_PIPEWIRE_H
#define TBCAM_PIPEWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// TB_SHARED marks what two threads share without a lock. Go has it with sync/atomic: cgo
// understands no _Atomic.
#ifdef TB_INSIDE
#define TB_SHARED _Atomic
#else
#define TB_SHARED
#endif

// tb_load finds the library. It is called once, before all others. On failure it
// returns a negative errno, and why in text.
int tb_load(char *text, size_t size);

// An encoded format, where others are numbers of enum spa_video_format.
#define TB_MJPEG 1

// tb_mode is a format with what it allows: a list of values, or (if the range is set)
// a minimum and a maximum behind the default.
#define TB_VALUES 32
struct tb_mode {
	uint32_t formats[TB_VALUES], widths[TB_VALUES], heights[TB_VALUES], nums[TB_VALUES], dens[TB_VALUES];
	uint32_t n_formats, n_sizes, n_rates;
	bool size_range, rate_range;
};

// tb_control is a control of a node (SPA_PARAM_PropInfo and SPA_PARAM_Props).
#define TB_LABELS 32
#define TB_BOOL 2 // of enum spa_type
#define TB_INT 4
#define TB_FLOAT 6
struct tb_control {
	uint32_t id, type; // TB_BOOL, TB_INT or TB_FLOAT
	char name[64];
	double value, initial, min, max;
	bool has_value;
	uint32_t n_labels;
	int32_t numbers[TB_LABELS];
	char labels[TB_LABELS][32];
};

// tb_node describes a node of class Video/Source, or Audio/Source.
#define TB_NODES 128
#define TB_MODES 256
#define TB_CONTROLS 64
struct tb_node {
	uint32_t id;
	char serial[24], name[256], description[256], api[32];
	struct tb_mode *modes;
	struct tb_control *controls;
	uint32_t n_modes, n_controls;
	bool audio;
	uint32_t channels; // of audio, 0 where that is not known
};

// tb_conn is a connection to the daemon.
struct tb_conn;

// tb_conn_open connects, and waits until the daemon has described its objects. Its eventfd is
// written when a node has come or gone, and when the connection is lost. With real_time the
// thread of cycles has real-time priority, where this user may have that.
int tb_conn_open(struct tb_conn **c, bool real_time, int wait_ms);
void tb_conn_close(struct tb_conn *c);
int tb_conn_wake(struct tb_conn *c);       // the eventfd; it belongs to the caller, who closes it
// tb_conn_changes counts what the eventfd was written for, but blocks of audio.
TB_SHARED uint32_t *tb_conn_changes(struct tb_conn *c);
int tb_conn_error(struct tb_conn *c);      // 0, or a negative errno once it is lost
bool tb_conn_managed(struct tb_conn *c);   // a session manager runs
// tb_conn_nodes copies up to TB_NODES nodes, without modes and controls.
int tb_conn_nodes(struct tb_conn *c, struct tb_node *nodes);
// tb_conn_default copies what the session manager has of the default source, as JSON.
void tb_conn_default(struct tb_conn *c, char *text, size_t size);
// tb_conn_describe asks a node for its modes and controls; free them with tb_node_free.
int tb_conn_describe(struct tb_conn *c, struct tb_node *n, int wait_ms);
int tb_conn_set_control(struct tb_conn *c, uint32_t node, uint32_t id, uint32_t type, double value, int wait_ms);
void tb_node_free(struct tb_node *n);

// tb_video is one fixed format.
struct tb_video {
	uint32_t format, width, height, num, den;
	uint32_t size, stride; // of a raw frame and of its first plane, in bytes
};

// tb_output is a camera that is published.
struct tb_output;

struct tb_output_state {
	bool streaming; // an application reads
	int error;      // a negative errno once it is lost
	uint64_t kept;  // frames that were not written, as readers keep all buffers
};

int tb_output_open(struct tb_output **o, struct tb_conn *c, const char *name, const char *description,
		   const struct tb_video *v, int wait_ms);
// tb_output_write copies a frame to the readers. It never waits for them.
int tb_output_write(struct tb_output *o, const void *data, size_t size);
int tb_output_describe(struct tb_output *o, const char *description);
void tb_output_state(struct tb_output *o, struct tb_output_state *s);
void tb_output_close(struct tb_output *o); // before its connection

// tb_input reads a node.
struct tb_input;

struct tb_frame {
	int64_t pts, arrived; // on CLOCK_MONOTONIC, in nanoseconds; pts is -1 where there is none
	uint64_t seq;
	bool has_seq;
	size_t size; // of an encoded frame
};

struct tb_input_state {
	int error;    // a negative errno once it has ended
	bool gone;    // the node was removed
	uint64_t damaged, superseded;
	char text[128]; // of the error
};

struct tb_plane { size_t offset, row, lines, subsampling; }; // of a packed frame; row in bytes

// tb_input_open starts to read, and waits until the node has started in the format that it
// grants, in v. It returns -EIO where they have no format in common, and -EBUSY where the
// node does not start.
int tb_input_open(struct tb_input **i, struct tb_conn *c, uint32_t node, const char *serial,
		  struct tb_video *v, int wait_ms);
// tb_input_take takes the newest frame, if any: it returns 1, and tb_input_copy is to follow.
int tb_input_take(struct tb_input *i, struct tb_frame *f);
// tb_input_copy copies the frame that was taken, packed, and gives its buffer back. It
// returns -EBADMSG, with the frame counted as damaged, where it is not whole.
int tb_input_copy(struct tb_input *i, void *to, size_t size, const struct tb_plane *planes, int n);
void tb_input_state(struct tb_input *i, struct tb_input_state *s);
void tb_input_close(struct tb_input *i); // before its connection

// tb_mic reads a microphone: S16LE, 48 kHz.
struct tb_mic;

#define TB_BLOCK 480      // samples per channel that are read together
#define TB_MIC_ROOM 48000 // samples per channel that wait for a slow reader: a second

// tb_mic_ring is what a microphone hears. The thread of PipeWire's cycles writes it and Go reads
// it, both without a lock, and Go without a call into C: a runtime that would sleep else spends
// more on that than on the block.
struct tb_mic_ring {
	int16_t *samples; // sample n of all channels is in place n % TB_MIC_ROOM
	TB_SHARED uint64_t written; // samples per channel since the beginning; at most a block more is in the making
	TB_SHARED int64_t zero;     // when sample 0 was captured, by the last stamp; CLOCK_MONOTONIC, in nanoseconds
	TB_SHARED uint32_t rate;    // of the server's graph, in Hz; 0: not known
};

struct tb_mic_state {
	int error;      // a negative errno once it has ended
	char text[128]; // of the error
};

// tb_mic_open starts to read the node of a name, or the default source for "", which it
// then follows. It does not wait: there may be no microphone yet.
int tb_mic_open(struct tb_mic **m, struct tb_conn *c, const char *target, uint32_t channels);
// tb_mic_ring returns the ring, which is there until tb_mic_close. Each block wakes the connection.
struct tb_mic_ring *tb_mic_ring(struct tb_mic *m);
void tb_mic_state(struct tb_mic *m, struct tb_mic_state *s);
void tb_mic_close(struct tb_mic *m); // before its connection

// tb_player plays audio, S16LE at 48 kHz, which waits in a ring: into a microphone that is
// published, or on the default sink.
struct tb_player;

struct tb_player_node {
	const char *name, *description;
	bool microphone;
	uint32_t channels;
};

struct tb_player_state {
	bool streaming; // somebody listens
	int error;      // a negative errno once it is lost
	char text[128]; // of the error
};

#define TB_PLAYER_ROOM 96000 // samples per channel that wait, at most: two seconds

// tb_player_ring is what is played, in samples per channel. It has one writer, in Go, and one
// reader, the thread of PipeWire's cycles. That may have real-time priority: it takes no lock.
struct tb_player_ring {
	int16_t *samples; // sample n of all channels is in place n % TB_PLAYER_ROOM
	TB_SHARED uint64_t written, read;       // since the beginning
	TB_SHARED int64_t written_at, read_at;  // when, on CLOCK_MONOTONIC in nanoseconds; read_at is of the last cycle
	TB_SHARED uint32_t quantum, target;     // of a cycle; that are to wait
	TB_SHARED uint32_t restart;             // what waits is of before
	TB_SHARED uint32_t filling;             // it plays silence, until the target is reached
	TB_SHARED uint64_t underruns, silence, dropped;
	TB_SHARED double rate;     // that samples are taken at, where 1 is that of the server
	TB_SHARED uint32_t margin; // how many more of them are to wait than two cycles and a block
};

int tb_player_open(struct tb_player **p, struct tb_conn *c, const struct tb_player_node *n, int wait_ms);
// tb_player_ring returns the ring, which is there until tb_player_close.
struct tb_player_ring *tb_player_ring(struct tb_player *p);
void tb_player_state(struct tb_player *p, struct tb_player_state *s);
void tb_player_close(struct tb_player *p); // before its connection

#endif
