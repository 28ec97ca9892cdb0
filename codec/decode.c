#include "native.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* Of Y', Cb, Cr. */
#define COMPONENTS 3
/* Lines of a component that are decoded together: blocks of 8, of which T.81
 * (section B.2.2) allows 4 below one another. */
#define MAX_LINES (4 * DCTSIZE)
/* Some webcams fill the data before a restart marker up to a multiple of this.
 * More bytes mean that the decoder lost its way. */
#define MAX_PADDING 64
/* Of the padding after the last MCU of a part, so many bytes may be in libjpeg's
 * bit buffer already, and are not counted. */
#define BIT_BUFFER 8

/* The entropy-coded data of a part of a JPEG. */
struct part {
	const uint8_t *data;
	unsigned long size;
	int restart; /* number of its first restart marker */
	int last;    /* ends with EOI */
};

struct decoder {
	struct jpeg_decompress_struct info; /* first: libjpeg's callbacks get its address */
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf escape;
	enum tb_result result; /* what an error means where the decoder is now */
	int max_scans;
	const uint32_t *stop;
	char *message;
	const struct part *part; /* what follows the header; NULL if all of it does */
	int begun;                  /* libjpeg reads the part's data */
	JSAMPARRAY strips[COMPONENTS]; /* lines that have no room in the planes */
};

static void fail(struct decoder *d, enum tb_result result)
{
	d->result = result;
	longjmp(d->escape, 1);
}

static void on_error(j_common_ptr info)
{
	struct decoder *d = (struct decoder *)info;

	info->err->format_message(info, d->message);
	fail(d, d->result);
}

/* Reports whether the decoder reads a part behind which another one follows. */
static int inner(const struct decoder *d) { return d->part && !d->part->last; }

/* Reports whether a warning leaves every sample right. */
static int harmless(const struct decoder *d)
{
	const struct jpeg_error_mgr *e = &d->errors;
	int count = e->msg_parm.i[0], marker = e->msg_parm.i[1];

	switch (e->msg_code) {
	case JWRN_JFIF_MAJOR:      /* nonsense for a JFIF version */
	case JWRN_ADOBE_XFORM:     /* an unknown transform is taken for Y'CbCr */
	case JWRN_NOT_SEQUENTIAL:  /* parameters that mean nothing in a sequential scan */
		return 1;
	case JWRN_EXTRANEOUS_DATA: /* padding; libjpeg itself counts the restart markers */
		if (inner(d)) /* which ends at a restart marker of the whole */
			return count <= MAX_PADDING - BIT_BUFFER;
		return marker == JPEG_EOI ||
		       (marker >= JPEG_RST0 && marker <= JPEG_RST0 + 7 && count <= MAX_PADDING);
	}
	return 0;
}

static void on_message(j_common_ptr info, int level)
{
	if (level < 0 && !harmless((struct decoder *)info))
		on_error(info);
}

static void check_stop(struct decoder *d)
{
	if (__atomic_load_n(d->stop, __ATOMIC_RELAXED))
		fail(d, TB_STOPPED);
}

/* Called for each row of blocks while a JPEG with several scans is read. */
static void on_progress(j_common_ptr info)
{
	struct decoder *d = (struct decoder *)info;

	check_stop(d);
	if (d->info.input_scan_number > d->max_scans) {
		snprintf(d->message, JMSG_LENGTH_MAX, "more than %d scans", d->max_scans);
		fail(d, TB_DAMAGED);
	}
}

/* Reports whether the components are those of the planes. */
static int fits(const struct decoder *d, const struct tb_shape shapes[COMPONENTS])
{
	const struct jpeg_decompress_struct *info = &d->info;

	if (info->jpeg_color_space != (info->num_components == 1 ? JCS_GRAYSCALE : JCS_YCbCr))
		return 0;
	for (int i = 0; i < COMPONENTS; i++) {
		const jpeg_component_info *c = &info->comp_info[i];
		if (i >= info->num_components ? shapes[i].width != 0 :
		    c->downsampled_width != shapes[i].width || c->downsampled_height != shapes[i].height)
			return 0;
	}
	return 1;
}

/* Lets libjpeg write the lines of a strip where they belong, if it writes no more
 * than these. Blocks that reach beyond the plane go to memory of the decoder's. */
static void place(struct decoder *d, int i, const struct tb_shape *shape, uint8_t *plane, JSAMPARRAY lines)
{
	const jpeg_component_info *c = &d->info.comp_info[i];
	JDIMENSION height = c->v_samp_factor * DCTSIZE;
	JDIMENSION top = d->info.output_scanline / d->info.max_v_samp_factor * c->v_samp_factor;
	int direct = c->width_in_blocks * DCTSIZE == shape->width;

	for (JDIMENSION n = 0; n < height; n++)
		lines[n] = direct && top + n < shape->height ?
			plane + (size_t)(top + n) * shape->stride : d->strips[i][n];
}

/* Copies the lines of a strip that place had written elsewhere. */
static void collect(struct decoder *d, int i, JDIMENSION scanline, const struct tb_shape *shape, uint8_t *plane)
{
	const jpeg_component_info *c = &d->info.comp_info[i];
	JDIMENSION height = c->v_samp_factor * DCTSIZE;
	JDIMENSION top = scanline / d->info.max_v_samp_factor * c->v_samp_factor;

	if (c->width_in_blocks * DCTSIZE == shape->width)
		return;
	for (JDIMENSION n = 0; n < height && top + n < shape->height; n++)
		memcpy(plane + (size_t)(top + n) * shape->stride, d->strips[i][n], shape->width);
}

static void decode_strips(struct decoder *d, const struct tb_shape shapes[COMPONENTS], uint8_t *const planes[COMPONENTS])
{
	struct jpeg_decompress_struct *info = &d->info;
	JSAMPROW lines[COMPONENTS][MAX_LINES];
	JSAMPARRAY image[COMPONENTS] = {lines[0], lines[1], lines[2]};

	for (int i = 0; i < info->num_components; i++)
		d->strips[i] = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE,
			info->comp_info[i].width_in_blocks * DCTSIZE, info->comp_info[i].v_samp_factor * DCTSIZE);
	while (info->output_scanline < info->output_height) {
		JDIMENSION scanline = info->output_scanline;
		check_stop(d);
		for (int i = 0; i < info->num_components; i++)
			place(d, i, &shapes[i], planes[i], lines[i]);
		jpeg_read_raw_data(info, image, info->max_v_samp_factor * DCTSIZE);
		for (int i = 0; i < info->num_components; i++)
			collect(d, i, scanline, &shapes[i], planes[i]);
	}
}

/* Called where libjpeg has read the header, or the data, of a part. */
static boolean next_input(j_decompress_ptr info)
{
	static const JOCTET eoi[] = {0xFF, JPEG_EOI};
	struct decoder *d = (struct decoder *)info;

	if (!d->begun) {
		d->begun = 1;
		info->src->next_input_byte = d->part->data;
		info->src->bytes_in_buffer = d->part->size;
		return TRUE;
	}
	if (d->part->last)
		WARNMS(info, JWRN_JPEG_EOF);
	info->src->next_input_byte = eoi;
	info->src->bytes_in_buffer = sizeof(eoi);
	return TRUE;
}

/* Called where libjpeg finds a marker that is not the desired restart marker:
 * libjpeg counts from 0, the data of a part from part->restart. */
static boolean renumber(j_decompress_ptr info, int desired)
{
	const struct decoder *d = (const struct decoder *)info;

	if (info->unread_marker != JPEG_RST0 + (desired + d->part->restart) % 8)
		return jpeg_resync_to_restart(info, desired);
	info->unread_marker = 0;
	return TRUE;
}

static void set_input(struct decoder *d, const uint8_t *jpeg, unsigned long size)
{
	struct jpeg_decompress_struct *info = &d->info;

	jpeg_mem_src(info, jpeg, size);
	if (!d->part)
		return;
	info->src->fill_input_buffer = next_input;
	if (d->part->restart)
		info->src->resync_to_restart = renumber;
}

static void decode(struct decoder *d, const uint8_t *jpeg, unsigned long size,
		   const struct tb_shape shapes[COMPONENTS], uint8_t *const planes[COMPONENTS])
{
	struct jpeg_decompress_struct *info = &d->info;

	d->result = TB_MALFORMED;
	set_input(d, jpeg, size);
	jpeg_read_header(info, TRUE);
	if (!fits(d, shapes))
		fail(d, TB_UNSUPPORTED);
	d->result = TB_DAMAGED;
	info->raw_data_out = TRUE;
	info->out_color_space = info->jpeg_color_space;
	jpeg_start_decompress(info);
	decode_strips(d, shapes, planes);
	jpeg_finish_decompress(info); /* reads on to EOI */
}

static int run(struct decoder *d, const uint8_t *jpeg, unsigned long size,
	       const struct tb_shape shapes[COMPONENTS], uint8_t *const planes[COMPONENTS])
{
	d->result = TB_MALFORMED;
	d->info.err = jpeg_std_error(&d->errors);
	d->errors.error_exit = on_error;
	d->errors.emit_message = on_message;
	d->progress.progress_monitor = on_progress;
	if (setjmp(d->escape)) {
		jpeg_destroy_decompress(&d->info);
		return d->result;
	}
	jpeg_create_decompress(&d->info); /* each JPEG anew: tables of the one before are not its own */
	d->info.progress = &d->progress;
	decode(d, jpeg, size, shapes, planes);
	jpeg_destroy_decompress(&d->info);
	return TB_OK;
}

int tb_decode(const uint8_t *jpeg, unsigned long size, const struct tb_shape shapes[COMPONENTS],
	      uint8_t *y, uint8_t *u, uint8_t *v, int max_scans, const uint32_t *stop, char *message)
{
	uint8_t *const planes[COMPONENTS] = {y, u, v};
	struct decoder d = {.max_scans = max_scans, .stop = stop, .message = message};

	return run(&d, jpeg, size, shapes, planes);
}

int tb_decode_part(const uint8_t *header, unsigned long header_size, const uint8_t *data, unsigned long size,
		   int restart, int last, const struct tb_shape shapes[COMPONENTS],
		   uint8_t *y, uint8_t *u, uint8_t *v, const uint32_t *stop, char *message)
{
	uint8_t *const planes[COMPONENTS] = {y, u, v};
	struct part part = {data, size, restart, last};
	struct decoder d = {.max_scans = 1, .stop = stop, .message = message, .part = &part};

	return run(&d, header, header_size, shapes, planes);
}
