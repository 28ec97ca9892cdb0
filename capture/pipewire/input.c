#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct tb_input {
	struct tb_conn *c;
	struct pw_stream *stream;
	struct spa_hook listener;
	struct tb_video video;
	uint32_t node;
	bool has_format;
	enum pw_stream_state state;
	char text[128];                  // why the state is an error
	struct pw_buffer *newest, *taken;
	int64_t arrived;                 // of newest
	uint64_t damaged, superseded;
};

static void on_state(void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct tb_input *i = data;
	i->state = state;
	if (error)
		snprintf(i->text, sizeof(i->text), "%s", error);
	tb_pw.pw_thread_loop_signal_(i->c->loop, false);
	tb_wake(i->c);
}

// read_format reads the format that the node grants; false where it is none of ours.
static bool read_format(struct tb_input *i, const struct spa_pod *format)
{
	struct tb_video *v = &i->video;
	uint32_t type, subtype;
	struct spa_rectangle size = {0};
	struct spa_fraction rate = {0};
	if (spa_format_parse(format, &type, &subtype) < 0 || type != SPA_MEDIA_TYPE_video)
		return false;
	v->format = TB_MJPEG;
	if (spa_pod_parse_object(format, SPA_TYPE_OBJECT_Format, NULL,
		SPA_FORMAT_VIDEO_format, SPA_POD_OPT_Id(&v->format),
		SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&size),
		SPA_FORMAT_VIDEO_framerate, SPA_POD_OPT_Fraction(&rate)) < 0)
		return false;
	v->width = size.width;
	v->height = size.height;
	v->num = rate.num;
	v->den = rate.denom;
	return true;
}

// on_param takes buffers in memory only: nobody then sends tiled ones or such of a GPU.
static void on_param(void *data, uint32_t id, const struct spa_pod *format)
{
	struct tb_input *i = data;
	if (id != SPA_PARAM_Format || !format || !read_format(i, format))
		return;
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *params[2];
	params[0] = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers,
		// Some nodes stop for good when all are in use, as SPA's test camera does.
		SPA_PARAM_BUFFERS_buffers, SPA_POD_CHOICE_RANGE_Int(8, 2, 16),
		SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int((1 << SPA_DATA_MemFd) | (1 << SPA_DATA_MemPtr)));
	params[1] = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
		SPA_PARAM_META_type, SPA_POD_Id(SPA_META_Header),
		SPA_PARAM_META_size, SPA_POD_Int(sizeof(struct spa_meta_header)));
	tb_pw.pw_stream_update_params_(i->stream, params, 2);
	i->has_format = true;
	tb_pw.pw_thread_loop_signal_(i->c->loop, false);
}

static void on_remove_buffer(void *data, struct pw_buffer *buffer)
{
	struct tb_input *i = data;
	if (i->newest == buffer)
		i->newest = NULL;
	if (i->taken == buffer)
		i->taken = NULL;
}

static struct spa_meta_header *header(struct pw_buffer *b)
{
	return spa_buffer_find_meta_data(b->buffer, SPA_META_Header, sizeof(struct spa_meta_header));
}

static bool is_damaged(struct pw_buffer *b)
{
	struct spa_meta_header *h = header(b);
	struct spa_buffer *s = b->buffer;
	return s->n_datas == 0 || !s->datas[0].data || s->datas[0].chunk->size == 0 ||
		(s->datas[0].chunk->flags & SPA_CHUNK_FLAG_CORRUPTED) || (h && (h->flags & SPA_META_HEADER_FLAG_CORRUPTED));
}

// on_process keeps the newest frame, and gives all others back.
static void on_process(void *data)
{
	struct tb_input *i = data;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct pw_buffer *b;
	while ((b = tb_pw.pw_stream_dequeue_buffer_(i->stream))) {
		struct pw_buffer *older = b;
		if (is_damaged(b)) {
			i->damaged++;
		} else {
			older = i->newest;
			i->superseded += older != NULL;
			i->newest = b;
			i->arrived = SPA_TIMESPEC_TO_NSEC(&now);
		}
		if (older)
			tb_pw.pw_stream_queue_buffer_(i->stream, older);
	}
	tb_wake(i->c);
}

static const struct pw_stream_events events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.param_changed = on_param,
	.remove_buffer = on_remove_buffer,
	.process = on_process,
};

// build_format builds the one format that is asked for; of the rate the node may choose.
static const struct spa_pod *build_format(struct spa_pod_builder *b, const struct tb_video *v)
{
	struct spa_pod_frame f;
	bool encoded = v->format == TB_MJPEG;
	spa_pod_builder_push_object(b, &f, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat);
	spa_pod_builder_add(b,
		SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
		SPA_FORMAT_mediaSubtype, SPA_POD_Id(encoded ? SPA_MEDIA_SUBTYPE_mjpg : SPA_MEDIA_SUBTYPE_raw), 0);
	if (!encoded)
		spa_pod_builder_add(b, SPA_FORMAT_VIDEO_format, SPA_POD_Id(v->format), 0);
	spa_pod_builder_add(b, SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&SPA_RECTANGLE(v->width, v->height)), 0);
	if (v->num && v->den)
		spa_pod_builder_add(b, SPA_FORMAT_VIDEO_framerate, SPA_POD_CHOICE_RANGE_Fraction(
			&SPA_FRACTION(v->num, v->den), &SPA_FRACTION(0, 1), &SPA_FRACTION(1000, 1)), 0);
	return spa_pod_builder_pop(b, &f);
}

static int connect_input(struct tb_input *i, const char *serial)
{
	i->stream = tb_pw.pw_stream_new_(i->c->core, "tbcam-send", tb_pw.pw_properties_new_(
		PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CATEGORY, "Capture", PW_KEY_MEDIA_ROLE, "Camera",
		PW_KEY_TARGET_OBJECT, serial, NULL));
	if (!i->stream)
		return -ENOMEM;
	tb_pw.pw_stream_add_listener_(i->stream, &i->listener, &events, i);
	uint8_t space[512];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *format = build_format(&b, &i->video);
	return tb_pw.pw_stream_connect_(i->stream, PW_DIRECTION_INPUT, PW_ID_ANY,
		PW_STREAM_FLAG_AUTOCONNECT | PW_STREAM_FLAG_DONT_RECONNECT | PW_STREAM_FLAG_MAP_BUFFERS |
		PW_STREAM_FLAG_NO_CONVERT, &format, 1);
}

static bool is_started(void *data)
{
	struct tb_input *i = data;
	return (i->has_format && i->state == PW_STREAM_STATE_STREAMING) || i->state < 0 || !tb_has_node(i->c, i->node);
}

// state_of returns why the input has ended, or 0.
static int state_of(struct tb_input *i)
{
	if (i->c->error)
		return i->c->error;
	if (!tb_has_node(i->c, i->node))
		return -ENODEV;
	return i->state <= PW_STREAM_STATE_UNCONNECTED ? -EIO : 0;
}

int tb_input_open(struct tb_input **out, struct tb_conn *c, uint32_t node, const char *serial,
		  struct tb_video *v, int wait_ms)
{
	struct tb_input *i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->c = c;
	i->node = node;
	i->video = *v;
	tb_lock(c);
	int res = connect_input(i, serial);
	if (res >= 0)
		res = tb_wait(c, wait_ms, is_started, i);
	if (res >= 0)
		res = state_of(i);
	// A node that agreed to a format and then refuses it cannot have its device: PipeWire
	// does not pass the node's EBUSY on.
	if (res == -EIO && i->has_format)
		res = -EBUSY;
	*v = i->video;
	tb_unlock(c);
	if (res < 0) {
		tb_input_close(i);
		return res;
	}
	*out = i;
	return 0;
}

int tb_input_take(struct tb_input *i, struct tb_frame *f)
{
	tb_lock(i->c);
	struct pw_buffer *b = i->newest;
	if (b) {
		struct spa_meta_header *h = header(b);
		i->taken = b;
		i->newest = NULL;
		f->arrived = i->arrived;
		f->pts = h ? h->pts : -1;
		f->has_seq = h != NULL;
		f->seq = h ? h->seq : 0;
		f->size = b->buffer->datas[0].chunk->size;
	}
	tb_unlock(i->c);
	return b != NULL;
}

// contents returns what a part of a buffer holds, as far as it lies in it.
static const uint8_t *contents(const struct spa_data *d, size_t *size)
{
	uint32_t offset = SPA_MIN(d->chunk->offset, d->maxsize);
	*size = SPA_MIN(d->chunk->size, d->maxsize - offset);
	return d->data ? SPA_PTROFF(d->data, offset, const uint8_t) : NULL;
}

// copy_plane copies the lines of a plane; false where they are not all there.
static bool copy_plane(uint8_t *to, const struct tb_plane *p, const uint8_t *from, size_t size, size_t stride)
{
	if (!from || stride < p->row || (p->lines - 1) * stride + p->row > size)
		return false;
	if (stride == p->row) {
		memcpy(to, from, p->row * p->lines);
		return true;
	}
	for (size_t line = 0; line < p->lines; line++)
		memcpy(to + line * p->row, from + line * stride, p->row);
	return true;
}

// copy_raw packs a raw frame: its planes are in one part of the buffer, each with a share
// of the stride, or each in a part of its own.
static bool copy_raw(uint8_t *to, const struct spa_buffer *s, const struct tb_plane *planes, int n)
{
	size_t size, next = 0;
	bool apart = s->n_datas >= (uint32_t)n && n > 1;
	for (int i = 0; i < n; i++) {
		const struct spa_data *d = &s->datas[apart ? i : 0];
		const uint8_t *from = contents(d, &size);
		size_t stride = d->chunk->stride > 0 ? (size_t)d->chunk->stride : planes[apart ? i : 0].row;
		if (!apart) {
			stride /= planes[i].subsampling;
			if (!from || next > size)
				return false;
			from += next;
			size -= next;
			next += stride * planes[i].lines;
		}
		if (!copy_plane(to + planes[i].offset, &planes[i], from, size, stride))
			return false;
	}
	return true;
}

int tb_input_copy(struct tb_input *i, void *to, size_t size, const struct tb_plane *planes, int n)
{
	int res = -EBADMSG;
	tb_lock(i->c);
	if (i->taken) {
		size_t has;
		const uint8_t *from = contents(&i->taken->buffer->datas[0], &has);
		if (n > 0 && copy_raw(to, i->taken->buffer, planes, n)) {
			res = 0;
		} else if (n == 0 && from && has >= size) {
			memcpy(to, from, size);
			res = 0;
		}
		tb_pw.pw_stream_queue_buffer_(i->stream, i->taken);
		i->taken = NULL;
	}
	i->damaged += res != 0;
	tb_unlock(i->c);
	return res;
}

void tb_input_state(struct tb_input *i, struct tb_input_state *s)
{
	tb_lock(i->c);
	s->error = state_of(i);
	s->gone = s->error == -ENODEV || s->error == -EPIPE;
	s->damaged = i->damaged;
	s->superseded = i->superseded;
	memcpy(s->text, i->text, sizeof(s->text));
	tb_unlock(i->c);
}

void tb_input_close(struct tb_input *i)
{
	tb_lock(i->c);
	if (i->stream)
		tb_pw.pw_stream_destroy_(i->stream);
	tb_unlock(i->c);
	free(i);
}
