/* What codec needs of TurboJPEG 2.x and libjpeg, in a form that takes no pointers
 * to pointers, and the loops that libyuv lacks. Planes are Y', Cb, Cr: a pointer
 * and the bytes per line of each; greyscale frames lack the last two. */
#include <stddef.h>
#include <stdint.h>

#include <libyuv/convert_argb.h>
#include <libyuv/planar_functions.h>
#include <libyuv/rotate.h>
#include <libyuv/scale.h>
#include <turbojpeg.h>

/* Encodes JPEGs, for one thread at a time. */
struct tb_encoder;

/* Returns NULL without memory. */
struct tb_encoder *tb_encoder_new(void);
void tb_encoder_free(struct tb_encoder *encoder);

/* Returns what the last call complained of. */
const char *tb_encoder_message(const struct tb_encoder *encoder);

enum tb_layout {
	TB_PLANAR, /* a plane for each component */
	TB_PAIRS,  /* a plane of Y', and one of Cb and Cr in turns */
	TB_YUYV,   /* one plane of 4:2:2 */
	TB_UYVY,
};

/* A raw frame to encode: its size, the bytes per line of its planes, and how many
 * pixels share a sample of chroma. */
struct tb_raw {
	enum tb_layout layout;
	int width, height, stride[3];
	int components, sub_x, sub_y;
	int cr_first; /* Cr comes before Cb, but in TB_PLANAR */
	int quality;
};

/* Writes a JPEG of at most size bytes to out; returns its length, or -1. The frame
 * is unpacked a row of MCUs at a time, so that this stays in the nearest cache. */
long tb_encode(struct tb_encoder *encoder, const struct tb_raw *raw, const uint8_t *a, const uint8_t *b,
	       const uint8_t *c, uint8_t *out, unsigned long size);

/* How a frame is divided into strips of some rows, each with so much room. */
struct tb_strips {
	int rows, count;
	unsigned long room;
};

/* Encodes strips of a frame to out like tb_encode, as long as there are some that no other
 * thread has taken: *next is the first of these. Writes their lengths to sizes; returns 0,
 * or -1 where one failed. */
int tb_encode_strips(struct tb_encoder *encoder, const struct tb_raw *raw, const uint8_t *a, const uint8_t *b,
		     const uint8_t *c, const struct tb_strips *strips, int32_t *next, uint8_t *out, int64_t *sizes);

/* A plane to decode to: its size in samples and the bytes per line. */
struct tb_shape {
	uint32_t width, height, stride;
};

enum tb_result {
	TB_OK,
	TB_MALFORMED,   /* the header is damaged */
	TB_UNSUPPORTED, /* its components are not those of the planes */
	TB_DAMAGED,     /* the rest is damaged, or has more scans than max_scans */
	TB_STOPPED,     /* *stop became nonzero */
};

/* Decodes a JPEG to planes of these shapes, and returns a tb_result, with the
 * reason in message (of JMSG_LENGTH_MAX bytes) where libjpeg has one. */
int tb_decode(const uint8_t *jpeg, unsigned long size, const struct tb_shape shapes[3],
	      uint8_t *y, uint8_t *u, uint8_t *v, int max_scans, const uint32_t *stop, char *message);

/* Decodes a part of a JPEG, whose data follows a header with the part's height.
 * The number of its first restart marker is restart, and the last part ends with
 * EOI. Like tb_decode, but where that would accept more padding, the part is
 * TB_DAMAGED. */
int tb_decode_part(const uint8_t *header, unsigned long header_size, const uint8_t *data, unsigned long size,
		   int restart, int last, const struct tb_shape shapes[3],
		   uint8_t *y, uint8_t *u, uint8_t *v, const uint32_t *stop, char *message);

/* Converts packed RGB pictures to full-range BT.601 planes without subsampling;
 * returns 0, or -1. */
int tb_from_rgb(tjhandle handle, int pixel_format, const uint8_t *rgb, int width, int height,
		uint8_t *y, int y_stride, uint8_t *u, int u_stride, uint8_t *v, int v_stride);

/* Writes ((sample - offset) * scale + bias) >> 14, clamped to 0..255. */
void tb_rescale(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride,
		int width, int height, int16_t offset, int16_t scale, int bias);

/* Writes opaque pixels, in memory blue, green, red and 255. Of each
 * sample that offset holds for luma and 128 for chroma is taken away; factors
 * are those of luma, of Cr in red, of Cb and Cr in green and of Cb in blue, with
 * 14 bits after the point. */
void tb_bgra(const uint8_t *y, int y_stride, const uint8_t *u, int u_stride, const uint8_t *v, int v_stride,
	     uint8_t *bgra, int stride, int width, int height, int offset, const int32_t factors[5]);
