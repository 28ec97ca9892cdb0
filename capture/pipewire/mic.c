#include "audio.h"

#include <errno.h>
#include <stdlib.h>

struct tb_mic {
	struct tb_conn *c;
	struct pw_stream *stream;
	struct spa_hook listener;
	uint32_t channels;
	enum pw_stream_state state;
	char text[128]; // why the state is an error
	struct tb_mic_ring ring;
};

static void on_state(void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct tb_mic *m = data;
	m->state = state;
	if (error)
		snprintf(m->text, sizeof(m->text), "%s", error);
	tb_wake(m->c);
}

// note_stamp notes by when the first of the next n samples was captured when sample 0 was.
static void note_stamp(struct tb_mic *m, uint32_t n)
{
	struct pw_time t = {0};
	int64_t at = tb_now();
	if (tb_pw.pw_stream_get_time_n_(m->stream, &t, sizeof(t)) >= 0 && t.now > 0) {
		at = t.now - (int64_t)t.buffered * SPA_NSEC_PER_SEC / TB_RATE;
		if (t.rate.num > 0 && t.rate.denom > 0) {
			at -= t.delay * SPA_NSEC_PER_SEC * t.rate.num / t.rate.denom;
			m->ring.rate = t.rate.denom / t.rate.num;
		}
	}
	// The whole seconds apart: all the samples since the beginning would overflow in two days.
	uint64_t end = m->ring.written + n;
	at -= (int64_t)(end / TB_RATE) * SPA_NSEC_PER_SEC + (int64_t)(end % TB_RATE) * SPA_NSEC_PER_SEC / TB_RATE;
	m->ring.zero = at;
}

// take_samples copies samples into the ring, in place of the oldest, and shows them a block at
// a time, which bounds how many of those that are read may be replaced meanwhile.
static void take_samples(struct tb_mic *m, const int16_t *samples, uint32_t n)
{
	uint64_t written = m->ring.written;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(m->ring.samples + written % TB_MIC_ROOM * m->channels, samples + i * m->channels, sizeof(int16_t) * m->channels);
		if (++written % TB_BLOCK == 0 || i + 1 == n)
			m->ring.written = written;
	}
}

static void on_process(void *data)
{
	struct tb_mic *m = data;
	struct pw_buffer *b;
	uint64_t blocks = m->ring.written / TB_BLOCK;
	while ((b = tb_pw.pw_stream_dequeue_buffer_(m->stream))) {
		const struct spa_data *d = &b->buffer->datas[0];
		if (b->buffer->n_datas > 0 && d->data) {
			uint32_t offset = SPA_MIN(d->chunk->offset, d->maxsize);
			uint32_t size = SPA_MIN(d->chunk->size, d->maxsize - offset);
			uint32_t n = size / (sizeof(int16_t) * m->channels);
			if (n > 0)
				note_stamp(m, n);
			take_samples(m, SPA_PTROFF(d->data, offset, const int16_t), n);
		}
		tb_pw.pw_stream_queue_buffer_(m->stream, b);
	}
	if (m->ring.written / TB_BLOCK > blocks)
		tb_wake_for_audio(m->c);
}

static const struct pw_stream_events events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.process = on_process,
};

// connect_mic asks for small buffers. Without a target the session manager links the
// default source, and follows it; it links no other one in the place of a target.
static int connect_mic(struct tb_mic *m, const char *target)
{
	struct pw_properties *p = tb_pw.pw_properties_new_(
		PW_KEY_MEDIA_TYPE, "Audio", PW_KEY_MEDIA_CATEGORY, "Capture", PW_KEY_MEDIA_ROLE, "Communication",
		PW_KEY_NODE_NAME, "tbcam-send", PW_KEY_NODE_LATENCY, TB_LATENCY, NULL);
	if (p && target[0])
		tb_pw.pw_properties_set_(p, PW_KEY_TARGET_OBJECT, target);
	m->stream = tb_pw.pw_stream_new_(m->c->core, "tbcam-send", p);
	if (!m->stream)
		return -ENOMEM;
	tb_pw.pw_stream_add_listener_(m->stream, &m->listener, &events, m);
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *format = tb_audio_format(&b, m->channels);
	return tb_pw.pw_stream_connect_(m->stream, PW_DIRECTION_INPUT, PW_ID_ANY,
		PW_STREAM_FLAG_AUTOCONNECT | PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_RT_PROCESS | (target[0] ? PW_STREAM_FLAG_DONT_RECONNECT : 0), &format, 1);
}

int tb_mic_open(struct tb_mic **out, struct tb_conn *c, const char *target, uint32_t channels)
{
	struct tb_mic *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->c = c;
	m->channels = channels;
	m->ring.samples = calloc(TB_MIC_ROOM * channels, sizeof(int16_t));
	int res = -ENOMEM;
	if (m->ring.samples) {
		tb_lock(c);
		res = connect_mic(m, target);
		tb_unlock(c);
	}
	if (res < 0) {
		tb_mic_close(m);
		return res;
	}
	*out = m;
	return 0;
}

struct tb_mic_ring *tb_mic_ring(struct tb_mic *m) { return &m->ring; }

void tb_mic_state(struct tb_mic *m, struct tb_mic_state *s)
{
	tb_lock(m->c);
	s->error = m->c->error;
	if (!s->error && m->state == PW_STREAM_STATE_ERROR)
		s->error = -EIO;
	memcpy(s->text, m->text, sizeof(s->text));
	tb_unlock(m->c);
}

void tb_mic_close(struct tb_mic *m)
{
	tb_lock(m->c);
	if (m->stream)
		tb_pw.pw_stream_destroy_(m->stream);
	tb_unlock(m->c);
	free(m->ring.samples);
	free(m);
}
