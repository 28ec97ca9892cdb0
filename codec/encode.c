#include "native.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* Of Y', Cb, Cr. */
#define COMPONENTS 3
/* Lines of a component in a row of MCUs. */
#define MAX_LINES (2 * DCTSIZE)

struct tb_encoder {
	struct jpeg_compress_struct info; /* first: libjpeg's callbacks get its address */
	struct jpeg_error_mgr errors;
	struct jpeg_destination_mgr output;
	jmp_buf escape;
	char message[JMSG_LENGTH_MAX];
	uint8_t *scratch; /* a row of MCUs, where the raw frame's own lines do not do */
	size_t room;
};

/* Some lines of a component. */
struct lines {
	const uint8_t *data;
	int stride, width, height;
};

static void on_error(j_common_ptr info)
{
	struct tb_encoder *e = (struct tb_encoder *)info;

	info->err->format_message(info, e->message);
	longjmp(e->escape, 1);
}

static void on_message(j_common_ptr info, int level)
{
	(void)info;
	(void)level;
}

static void ignore(j_compress_ptr info) { (void)info; }

static boolean output_is_full(j_compress_ptr info)
{
	ERREXIT(info, JERR_BUFFER_SIZE);
	return FALSE;
}

struct tb_encoder *tb_encoder_new(void)
{
	struct tb_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->info.err = jpeg_std_error(&e->errors);
	e->errors.error_exit = on_error;
	e->errors.emit_message = on_message;
	e->output.init_destination = ignore;
	e->output.empty_output_buffer = output_is_full;
	e->output.term_destination = ignore;
	if (setjmp(e->escape)) {
		free(e);
		return NULL;
	}
	jpeg_create_compress(&e->info);
	e->info.dest = &e->output;
	return e;
}

void tb_encoder_free(struct tb_encoder *e)
{
	jpeg_destroy_compress(&e->info);
	free(e->scratch);
	free(e);
}

const char *tb_encoder_message(const struct tb_encoder *e) { return e->message; }

/* As TurboJPEG does: a JFIF header, the standard Huffman tables, no subsampling by
 * libjpeg, which gets what is subsampled already. */
static void configure(struct tb_encoder *e, const struct tb_raw *raw)
{
	struct jpeg_compress_struct *info = &e->info;

	info->image_width = raw->width;
	info->image_height = raw->height;
	info->input_components = raw->components;
	info->in_color_space = raw->components == 1 ? JCS_GRAYSCALE : JCS_YCbCr;
	jpeg_set_defaults(info);
	jpeg_set_quality(info, raw->quality, TRUE);
	info->dct_method = JDCT_ISLOW;
	info->comp_info[0].h_samp_factor = raw->sub_x;
	info->comp_info[0].v_samp_factor = raw->sub_y;
	info->raw_data_in = TRUE;
}

static int block_width(const struct tb_encoder *e, int i)
{
	return e->info.comp_info[i].width_in_blocks * DCTSIZE;
}

static int block_lines(const struct tb_encoder *e, int i)
{
	return e->info.comp_info[i].v_samp_factor * DCTSIZE;
}

/* Makes room for a row of MCUs of all components. */
static void grow_scratch(struct tb_encoder *e)
{
	size_t need = 0;

	for (int i = 0; i < e->info.num_components; i++)
		need += (size_t)block_width(e, i) * block_lines(e, i);
	if (need <= e->room)
		return;
	free(e->scratch);
	e->scratch = malloc(need);
	e->room = e->scratch ? need : 0;
	if (!e->scratch)
		ERREXIT1(&e->info, JERR_OUT_OF_MEMORY, 0);
}

/* Where a component's lines are in scratch. */
static uint8_t *scratch_of(const struct tb_encoder *e, int i)
{
	uint8_t *at = e->scratch;

	for (int k = 0; k < i; k++)
		at += (size_t)block_width(e, k) * block_lines(e, k);
	return at;
}

/* Writes what is packed or in pairs to scratch. */
static void unpack(struct tb_encoder *e, const struct tb_raw *raw, struct lines lines[COMPONENTS])
{
	int first = raw->cr_first ? 2 : 1, stride = block_width(e, 1);
	uint8_t *y = scratch_of(e, 0), *u = scratch_of(e, first), *v = scratch_of(e, 3 - first);

	if (raw->layout == TB_PAIRS) {
		SplitUVPlane(lines[1].data, lines[1].stride, u, stride, v, stride, lines[1].width, lines[1].height);
	} else {
		(raw->layout == TB_YUYV ? YUY2ToI422 : UYVYToI422)(lines[0].data, lines[0].stride,
			y, block_width(e, 0), u, stride, v, stride, lines[0].width, lines[0].height);
		lines[0].data = y;
		lines[0].stride = block_width(e, 0);
	}
	for (int i = 1; i < COMPONENTS; i++) {
		lines[i].data = scratch_of(e, i);
		lines[i].stride = stride;
	}
}

/* Finds the lines of a row of MCUs from a line on. */
static void find(struct tb_encoder *e, const struct tb_raw *raw, const uint8_t *const planes[COMPONENTS],
		 int top, struct lines lines[COMPONENTS])
{
	int n = raw->height - top < block_lines(e, 0) ? raw->height - top : block_lines(e, 0);

	for (int i = 0; i < raw->components; i++) {
		int sub_x = i ? raw->sub_x : 1, sub_y = i ? raw->sub_y : 1;
		lines[i].width = (raw->width + sub_x - 1) / sub_x;
		lines[i].height = (n + sub_y - 1) / sub_y;
		lines[i].stride = raw->stride[i];
		if (planes[i])
			lines[i].data = planes[i] + (size_t)(top / sub_y) * raw->stride[i];
	}
	if (raw->layout != TB_PLANAR)
		unpack(e, raw, lines);
}

/* Lets rows point to a component's lines, which libjpeg reads in whole blocks: the
 * last sample and the last line are repeated. */
static void pad(struct tb_encoder *e, int i, struct lines l, JSAMPROW rows[MAX_LINES])
{
	int width = block_width(e, i);
	uint8_t *scratch = scratch_of(e, i);

	if (l.width < width) {
		for (int n = 0; n < l.height; n++) {
			uint8_t *line = scratch + (size_t)n * width;
			if (l.data != scratch)
				memcpy(line, l.data + (size_t)n * l.stride, l.width);
			memset(line + l.width, line[l.width - 1], width - l.width);
		}
		l.data = scratch;
		l.stride = width;
	}
	for (int n = 0; n < block_lines(e, i); n++)
		rows[n] = (JSAMPROW)l.data + (size_t)(n < l.height ? n : l.height - 1) * l.stride;
}

static void encode(struct tb_encoder *e, const struct tb_raw *raw, const uint8_t *const planes[COMPONENTS])
{
	struct jpeg_compress_struct *info = &e->info;
	JSAMPROW rows[COMPONENTS][MAX_LINES];
	JSAMPARRAY image[COMPONENTS] = {rows[0], rows[1], rows[2]};
	struct lines lines[COMPONENTS];

	configure(e, raw);
	jpeg_start_compress(info, TRUE);
	grow_scratch(e);
	while (info->next_scanline < info->image_height) {
		find(e, raw, planes, info->next_scanline, lines);
		for (int i = 0; i < info->num_components; i++)
			pad(e, i, lines[i], rows[i]);
		jpeg_write_raw_data(info, image, block_lines(e, 0));
	}
	jpeg_finish_compress(info);
}

long tb_encode(struct tb_encoder *e, const struct tb_raw *raw, const uint8_t *a, const uint8_t *b, const uint8_t *c,
	       uint8_t *out, unsigned long size)
{
	const uint8_t *const planes[COMPONENTS] = {a, b, c};

	if (setjmp(e->escape)) {
		jpeg_abort_compress(&e->info);
		return -1;
	}
	e->output.next_output_byte = out;
	e->output.free_in_buffer = size;
	encode(e, raw, planes);
	return (long)(size - e->output.free_in_buffer);
}

/* Returns a plane from a row of the frame on; sub_y rows share one of its lines. */
static const uint8_t *from_row(const uint8_t *plane, int row, int sub_y, int stride)
{
	return plane ? plane + (size_t)(row / sub_y) * stride : NULL;
}

int tb_encode_strips(struct tb_encoder *e, const struct tb_raw *raw, const uint8_t *a, const uint8_t *b,
		     const uint8_t *c, const struct tb_strips *strips, int32_t *next, uint8_t *out, int64_t *sizes)
{
	for (;;) {
		int i = __atomic_fetch_add(next, 1, __ATOMIC_SEQ_CST), top = i * strips->rows;
		struct tb_raw part = *raw;

		if (i >= strips->count)
			return 0;
		part.height = raw->height - top < strips->rows ? raw->height - top : strips->rows;
		sizes[i] = tb_encode(e, &part, from_row(a, top, 1, raw->stride[0]), from_row(b, top, raw->sub_y, raw->stride[1]),
			from_row(c, top, raw->sub_y, raw->stride[2]), out + i * strips->room, strips->room);
		if (sizes[i] < 0)
			return -1;
	}
}
