#include "conn.h"

#include <errno.h>
#include <stdlib.h>

#define TB_BUFFERS 8 // that readers share; a browser keeps up to 3
#define TB_MAX_BUFFERS 16

// A frame that comes while readers still get the one before would replace it for those
// that are late. So it waits for the end of that cycle, which a reader that hangs never
// reaches: after TB_STUCK nothing waits until a cycle has ended again. What waits is not
// queued yet: at the end of a cycle the stream takes what is queued out, for nobody.
#define TB_WAITING 4
#define TB_STUCK (500 * SPA_NSEC_PER_MSEC)

struct tb_output {
	struct tb_conn *c;
	struct pw_stream *stream;
	struct spa_hook listener;
	struct tb_video video;
	enum pw_stream_state state;
	uint64_t seq, kept;
	bool running, stuck; // a cycle
	int64_t begun;       // when it was triggered
	// Buffers that readers do not have: with frames for cycles to come, the oldest first,
	// and with frames that came too late.
	struct tb_buffers { struct pw_buffer *all[TB_MAX_BUFFERS]; int n; } waiting, spare;
};

// show gives the readers a buffer.
static int show(struct tb_output *o, struct pw_buffer *buffer)
{
	int res = tb_pw.pw_stream_queue_buffer_(o->stream, buffer);
	if (res < 0)
		return res;
	o->running = true;
	o->begun = tb_now();
	return tb_pw.pw_stream_trigger_process_(o->stream);
}

// take removes the buffer of an index.
static struct pw_buffer *take(struct tb_buffers *b, int i)
{
	struct pw_buffer *taken = b->all[i];
	b->n--;
	memmove(&b->all[i], &b->all[i + 1], (b->n - i) * sizeof(taken));
	return taken;
}

// drop_waiting gives up the frames that wait.
static void drop_waiting(struct tb_output *o)
{
	while (o->waiting.n > 0)
		o->spare.all[o->spare.n++] = take(&o->waiting, 0);
}

static void on_trigger_done(void *data)
{
	struct tb_output *o = data;
	o->running = o->stuck = false;
	if (o->waiting.n > 0 && o->state == PW_STREAM_STATE_STREAMING)
		show(o, take(&o->waiting, 0));
}

static void on_remove_buffer(void *data, struct pw_buffer *buffer)
{
	struct tb_output *o = data;
	struct tb_buffers *lists[] = {&o->waiting, &o->spare};
	for (size_t l = 0; l < SPA_N_ELEMENTS(lists); l++)
		for (int i = lists[l]->n - 1; i >= 0; i--)
			if (lists[l]->all[i] == buffer)
				take(lists[l], i);
}

static void on_state(void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct tb_output *o = data;
	o->state = state;
	if (state != PW_STREAM_STATE_STREAMING) {
		drop_waiting(o);
		o->running = o->stuck = false;
	}
	tb_pw.pw_thread_loop_signal_(o->c->loop, false);
	tb_wake(o->c);
}

// on_param answers a format with the buffers that it needs.
static void on_param(void *data, uint32_t id, const struct spa_pod *format)
{
	struct tb_output *o = data;
	if (id != SPA_PARAM_Format || !format)
		return;
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *params[2];
	params[0] = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers,
		SPA_PARAM_BUFFERS_buffers, SPA_POD_CHOICE_RANGE_Int(TB_BUFFERS, 2, TB_MAX_BUFFERS),
		SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1),
		SPA_PARAM_BUFFERS_size, SPA_POD_Int(o->video.size),
		SPA_PARAM_BUFFERS_stride, SPA_POD_Int(o->video.stride),
		SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int((1 << SPA_DATA_MemFd) | (1 << SPA_DATA_MemPtr)));
	params[1] = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
		SPA_PARAM_META_type, SPA_POD_Id(SPA_META_Header),
		SPA_PARAM_META_size, SPA_POD_Int(sizeof(struct spa_meta_header)));
	tb_pw.pw_stream_update_params_(o->stream, params, 2);
}

static const struct pw_stream_events events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.param_changed = on_param,
	.remove_buffer = on_remove_buffer,
	.trigger_done = on_trigger_done,
};

static bool is_published(void *data)
{
	struct tb_output *o = data;
	return o->state == PW_STREAM_STATE_PAUSED || o->state == PW_STREAM_STATE_STREAMING || o->state < 0;
}

// connect_output publishes the node in its one format.
static int connect_output(struct tb_output *o, const char *name, const char *description)
{
	const struct tb_video *v = &o->video;
	o->stream = tb_pw.pw_stream_new_(o->c->core, name, tb_pw.pw_properties_new_(
		PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_MEDIA_ROLE, "Camera", PW_KEY_MEDIA_TYPE, "Video",
		PW_KEY_NODE_NAME, name, PW_KEY_NODE_DESCRIPTION, description, NULL));
	if (!o->stream)
		return -ENOMEM;
	tb_pw.pw_stream_add_listener_(o->stream, &o->listener, &events, o);
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *format = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat,
		SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
		SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw),
		SPA_FORMAT_VIDEO_format, SPA_POD_Id(v->format),
		SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&SPA_RECTANGLE(v->width, v->height)),
		SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&SPA_FRACTION(v->num, v->den)));
	return tb_pw.pw_stream_connect_(o->stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
		PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_NO_CONVERT, &format, 1);
}

int tb_output_open(struct tb_output **out, struct tb_conn *c, const char *name, const char *description,
		   const struct tb_video *v, int wait_ms)
{
	struct tb_output *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->c = c;
	o->video = *v;
	tb_lock(c);
	int res = connect_output(o, name, description);
	if (res >= 0)
		res = tb_wait(c, wait_ms, is_published, o);
	if (res >= 0 && o->state < 0)
		res = -EIO;
	tb_unlock(c);
	if (res < 0) {
		tb_output_close(o);
		return res;
	}
	*out = o;
	return 0;
}

// fill copies a frame to a buffer; false where it does not fit.
static bool fill(struct pw_buffer *buffer, struct tb_output *o, const void *frame, size_t size)
{
	struct spa_data *d = &buffer->buffer->datas[0];
	if (!d->data || d->maxsize < size) {
		d->chunk->size = 0;
		return false;
	}
	memcpy(d->data, frame, size);
	d->chunk->offset = 0;
	d->chunk->size = size;
	d->chunk->stride = o->video.stride;
	d->chunk->flags = 0;
	struct spa_meta_header *h = spa_buffer_find_meta_data(buffer->buffer, SPA_META_Header, sizeof(*h));
	if (h) {
		h->flags = 0;
		h->offset = 0;
		h->pts = tb_now();
		h->dts_offset = 0;
		h->seq = o->seq++;
	}
	return true;
}

// find_buffer returns one to fill, or NULL where readers have all.
static struct pw_buffer *find_buffer(struct tb_output *o)
{
	if (o->spare.n > 0)
		return take(&o->spare, 0);
	if (o->waiting.n >= TB_WAITING)
		return NULL;
	return tb_pw.pw_stream_dequeue_buffer_(o->stream);
}

// put shows a frame, now or when its turn has come.
static int put(struct tb_output *o, const void *data, size_t size)
{
	if (!o->stuck && o->running && tb_now() - o->begun > TB_STUCK) {
		o->stuck = true;
		drop_waiting(o); // newest wins
	}
	struct pw_buffer *buffer = find_buffer(o);
	if (!buffer) {
		o->kept++;
		return 0;
	}
	bool fits = fill(buffer, o, data, size);
	if (o->running && !o->stuck)
		o->waiting.all[o->waiting.n++] = buffer;
	else
		fits = show(o, buffer) >= 0 && fits;
	return fits ? 0 : -EMSGSIZE;
}

// The lock keeps the loop from taking buffers away meanwhile.
int tb_output_write(struct tb_output *o, const void *data, size_t size)
{
	int res = 0;
	tb_lock(o->c);
	if (o->c->error)
		res = o->c->error;
	else if (o->state <= PW_STREAM_STATE_UNCONNECTED)
		res = -EPIPE;
	else if (o->state == PW_STREAM_STATE_STREAMING)
		res = put(o, data, size);
	tb_unlock(o->c);
	return res < 0 ? res : 0;
}

int tb_output_describe(struct tb_output *o, const char *description)
{
	struct spa_dict_item item = SPA_DICT_ITEM_INIT(PW_KEY_NODE_DESCRIPTION, description);
	tb_lock(o->c);
	int res = tb_pw.pw_stream_update_properties_(o->stream, &SPA_DICT_INIT(&item, 1));
	tb_unlock(o->c);
	return res < 0 ? res : 0;
}

void tb_output_state(struct tb_output *o, struct tb_output_state *s)
{
	tb_lock(o->c);
	s->streaming = o->state == PW_STREAM_STATE_STREAMING;
	s->error = o->c->error ? o->c->error : o->state <= PW_STREAM_STATE_UNCONNECTED ? -EPIPE : 0;
	s->kept = o->kept;
	tb_unlock(o->c);
}

void tb_output_close(struct tb_output *o)
{
	tb_lock(o->c);
	if (o->stream)
		tb_pw.pw_stream_destroy_(o->stream);
	tb_unlock(o->c);
	free(o);
}
