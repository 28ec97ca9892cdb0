#include "audio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define EXCESS (TB_RATE / 10) // so far from the target the fill is put there at once

struct tb_player {
	struct tb_conn *c;
	struct pw_stream *stream;
	struct spa_hook listener;
	uint32_t channels;
	uint32_t manager; // that has linked the node
	enum pw_stream_state state;
	char text[128]; // why the state is an error
	struct tb_player_ring ring;
	_Atomic(struct spa_io_rate_match *) match;
	bool begun; // it has played since the restart
};

static void on_state(void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct tb_player *p = data;
	p->state = state;
	if (error)
		snprintf(p->text, sizeof(p->text), "%s", error);
	if (state != PW_STREAM_STATE_STREAMING)
		p->ring.restart = true;
	tb_pw.pw_thread_loop_signal_(p->c->loop, false);
	tb_wake(p->c);
}

static void on_io(void *data, uint32_t id, void *area, uint32_t size)
{
	struct tb_player *p = data;
	if (id == SPA_IO_RateMatch)
		p->match = size >= sizeof(struct spa_io_rate_match) ? area : NULL;
}

// drop_to_target leaves as much as is to wait.
static void drop_to_target(struct tb_player *p, uint64_t fill)
{
	if (fill <= p->ring.target)
		return;
	if (p->begun)
		p->ring.dropped += fill - p->ring.target;
	p->ring.read += fill - p->ring.target;
}

// find_fill returns how much waits for a cycle, if blocks came evenly: what has come of the
// next one by now counts.
static uint64_t find_fill(struct tb_player *p)
{
	uint64_t waiting = p->ring.written - p->ring.read;
	int64_t since = (tb_now() - p->ring.written_at) * TB_RATE / (int64_t)SPA_NSEC_PER_SEC;
	return waiting + SPA_CLAMP(since, 0, TB_BLOCK);
}

// choose_samples reports whether a cycle of n samples gets some, and not silence.
static bool choose_samples(struct tb_player *p, uint32_t n)
{
	if (atomic_exchange(&p->ring.restart, false)) {
		p->ring.read = p->ring.written;
		p->ring.filling = true;
		p->begun = false;
	}
	p->ring.target = 2 * n + TB_BLOCK + p->ring.margin;
	uint64_t fill = find_fill(p);
	if (fill > p->ring.target + EXCESS)
		drop_to_target(p, fill);
	if (p->ring.filling && fill >= p->ring.target) {
		drop_to_target(p, fill);
		p->ring.filling = false;
		p->begun = true;
	} else if (!p->ring.filling && p->ring.written - p->ring.read < n) {
		p->ring.underruns++;
		p->ring.filling = true;
	} else if (!p->ring.filling && fill + EXCESS < p->ring.target) {
		p->ring.filling = true; // much more is to wait than before
	}
	return !p->ring.filling;
}

static void play(struct tb_player *p, int16_t *to, uint32_t n)
{
	if (!choose_samples(p, n)) {
		memset(to, 0, n * p->channels * sizeof(*to));
		if (p->begun)
			p->ring.silence += n;
		return;
	}
	uint64_t read = p->ring.read;
	for (uint32_t i = 0; i < n; i++, read++, to += p->channels)
		memcpy(to, p->ring.samples + read % TB_PLAYER_ROOM * p->channels, p->channels * sizeof(*to));
	p->ring.read = read;
}

// adjust_rate has PipeWire's resampler take samples at the rate that was asked for.
static void adjust_rate(struct tb_player *p)
{
	struct spa_io_rate_match *match = p->match;
	if (!match)
		return;
	match->rate = 1 / p->ring.rate;
	SPA_FLAG_SET(match->flags, SPA_IO_RATE_MATCH_FLAG_ACTIVE);
}

// note_cycle notes when a cycle of n samples began.
static void note_cycle(struct tb_player *p, uint32_t n)
{
	struct pw_time t = {0};
	int64_t at = tb_now();
	if (tb_pw.pw_stream_get_time_n_(p->stream, &t, sizeof(t)) >= 0 && t.now > 0)
		at = t.now;
	p->ring.read_at = at;
	p->ring.quantum = n;
}

static void on_process(void *data)
{
	struct tb_player *p = data;
	adjust_rate(p);
	struct pw_buffer *b = tb_pw.pw_stream_dequeue_buffer_(p->stream);
	if (!b)
		return;
	struct spa_data *d = &b->buffer->datas[0];
	uint32_t size = sizeof(int16_t) * p->channels, n = 0;
	if (d->data) {
		n = d->maxsize / size;
		if (b->requested > 0)
			n = SPA_MIN(n, b->requested);
		play(p, d->data, n);
		note_cycle(p, n);
	}
	d->chunk->offset = 0;
	d->chunk->stride = size;
	d->chunk->size = n * size;
	tb_pw.pw_stream_queue_buffer_(p->stream, b);
}

static const struct pw_stream_events events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.io_changed = on_io,
	.process = on_process,
};

// new_properties returns what the node is for others.
static struct pw_properties *new_properties(const struct tb_player_node *n)
{
	if (n->microphone)
		return tb_pw.pw_properties_new_(PW_KEY_MEDIA_CLASS, "Audio/Source", PW_KEY_NODE_NAME, n->name,
			PW_KEY_NODE_DESCRIPTION, n->description, PW_KEY_NODE_LATENCY, TB_LATENCY,
			PW_KEY_NODE_VIRTUAL, "true", NULL);
	return tb_pw.pw_properties_new_(PW_KEY_MEDIA_TYPE, "Audio", PW_KEY_MEDIA_CATEGORY, "Playback",
		PW_KEY_MEDIA_ROLE, "Communication", PW_KEY_NODE_NAME, n->name, PW_KEY_NODE_DESCRIPTION, n->description,
		PW_KEY_NODE_LATENCY, TB_LATENCY, NULL);
}

static int connect_player(struct tb_player *p, const struct tb_player_node *n)
{
	p->stream = tb_pw.pw_stream_new_(p->c->core, n->name, new_properties(n));
	if (!p->stream)
		return -ENOMEM;
	tb_pw.pw_stream_add_listener_(p->stream, &p->listener, &events, p);
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *format = tb_audio_format(&b, p->channels);
	enum pw_stream_flags flags = PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_RT_PROCESS;
	if (!n->microphone)
		flags |= PW_STREAM_FLAG_AUTOCONNECT;
	return tb_pw.pw_stream_connect_(p->stream, PW_DIRECTION_OUTPUT, PW_ID_ANY, flags, &format, 1);
}

static bool is_there(void *data)
{
	struct tb_player *p = data;
	return p->state == PW_STREAM_STATE_PAUSED || p->state == PW_STREAM_STATE_STREAMING || p->state < 0;
}

int tb_player_open(struct tb_player **out, struct tb_conn *c, const struct tb_player_node *n, int wait_ms)
{
	struct tb_player *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->c = c;
	p->channels = n->channels;
	p->ring.rate = 1;
	p->ring.restart = p->ring.filling = true;
	p->ring.samples = calloc(TB_PLAYER_ROOM * n->channels, sizeof(int16_t));
	int res = -ENOMEM;
	if (p->ring.samples) {
		tb_lock(c);
		p->manager = c->manager;
		res = connect_player(p, n);
		if (res >= 0 && n->microphone) // what plays may wait for a loudspeaker
			res = tb_wait(c, wait_ms, is_there, p);
		if (res >= 0 && p->state < 0)
			res = -EIO;
		tb_unlock(c);
	}
	if (res < 0) {
		tb_player_close(p);
		return res;
	}
	*out = p;
	return 0;
}

// find_error takes the end of the session manager for one: another does not link a node that
// was in use shortly before (WirePlumber 0.4), as it waits for ports that are there already.
static int find_error(struct tb_player *p)
{
	if (p->c->error)
		return p->c->error;
	if (p->c->manager != p->manager)
		return -ESRCH;
	return p->state <= PW_STREAM_STATE_UNCONNECTED ? -EPIPE : 0;
}

void tb_player_state(struct tb_player *p, struct tb_player_state *s)
{
	tb_lock(p->c);
	s->streaming = p->state == PW_STREAM_STATE_STREAMING;
	s->error = find_error(p);
	memcpy(s->text, p->text, sizeof(s->text));
	tb_unlock(p->c);
}

struct tb_player_ring *tb_player_ring(struct tb_player *p) { return &p->ring; }

void tb_player_close(struct tb_player *p)
{
	tb_lock(p->c);
	if (p->stream)
		tb_pw.pw_stream_destroy_(p->stream);
	tb_unlock(p->c);
	free(p->ring.samples);
	free(p);
}
