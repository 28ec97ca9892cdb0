#include "audio.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM TB_RATE // samples per channel that wait for a slow reader: a second

struct tb_mic {
	struct tb_conn *c;
	struct pw_stream *stream;
	struct spa_hook listener;
	uint32_t channels;
	enum pw_stream_state state;
	char text[128]; // why the state is an error
	int16_t *ring;  // ROOM samples per channel
	uint64_t read, written; // samples per channel since the beginning
	struct tb_stamp stamp;
	uint64_t lost;
};

static void on_state(void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct tb_mic *m = data;
	m->state = state;
	if (error)
		snprintf(m->text, sizeof(m->text), "%s", error);
	tb_wake(m->c);
}

// note_stamp notes when sample m->written was captured, of a buffer with n samples.
static void note_stamp(struct tb_mic *m, uint32_t n)
{
	struct pw_time t = {0};
	m->stamp.sample = m->written;
	m->stamp.time = tb_now();
	if (tb_pw.pw_stream_get_time_n_(m->stream, &t, sizeof(t)) >= 0 && t.now > 0) {
		m->stamp.time = t.now - (int64_t)t.buffered * SPA_NSEC_PER_SEC / TB_RATE;
		if (t.rate.num > 0 && t.rate.denom > 0) {
			m->stamp.time -= t.delay * SPA_NSEC_PER_SEC * t.rate.num / t.rate.denom;
			m->stamp.rate = t.rate.denom / t.rate.num;
		}
	}
	m->stamp.time -= (int64_t)n * SPA_NSEC_PER_SEC / TB_RATE;
}

// take_samples copies samples into the ring. Where it is full, the oldest go, in whole
// blocks: so the blocks that stay are where they were.
static void take_samples(struct tb_mic *m, const int16_t *samples, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, m->written++)
		memcpy(m->ring + m->written % ROOM * m->channels, samples + i * m->channels, sizeof(int16_t) * m->channels);
	while (m->written - m->read > ROOM) {
		m->read += TB_BLOCK;
		m->lost++;
	}
}

static void on_process(void *data)
{
	struct tb_mic *m = data;
	struct pw_buffer *b;
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
	if (m->written - m->read >= TB_BLOCK)
		tb_wake(m->c);
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
		PW_STREAM_FLAG_AUTOCONNECT | PW_STREAM_FLAG_MAP_BUFFERS | (target[0] ? PW_STREAM_FLAG_DONT_RECONNECT : 0), &format, 1);
}

int tb_mic_open(struct tb_mic **out, struct tb_conn *c, const char *target, uint32_t channels)
{
	struct tb_mic *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->c = c;
	m->channels = channels;
	m->ring = calloc(ROOM * channels, sizeof(int16_t));
	int res = -ENOMEM;
	if (m->ring) {
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

int tb_mic_read(struct tb_mic *m, void *to, uint64_t *sample, struct tb_stamp *stamp)
{
	tb_lock(m->c);
	int got = m->written - m->read >= TB_BLOCK;
	if (got) {
		size_t size = sizeof(int16_t) * m->channels;
		// ROOM is a multiple of a block: one is never split.
		memcpy(to, m->ring + m->read % ROOM * m->channels, TB_BLOCK * size);
		*sample = m->read;
		*stamp = m->stamp;
		m->read += TB_BLOCK;
	}
	tb_unlock(m->c);
	return got;
}

void tb_mic_state(struct tb_mic *m, struct tb_mic_state *s)
{
	tb_lock(m->c);
	s->error = m->c->error;
	if (!s->error && m->state == PW_STREAM_STATE_ERROR)
		s->error = -EIO;
	s->lost = m->lost;
	memcpy(s->text, m->text, sizeof(s->text));
	tb_unlock(m->c);
}

void tb_mic_close(struct tb_mic *m)
{
	tb_lock(m->c);
	if (m->stream)
		tb_pw.pw_stream_destroy_(m->stream);
	tb_unlock(m->c);
	free(m->ring);
	free(m);
}
