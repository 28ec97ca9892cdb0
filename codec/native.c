#include "native.h"

#include <string.h>

int tb_from_rgb(tjhandle handle, int pixel_format, const uint8_t *rgb, int width, int height,
		uint8_t *y, int y_stride, uint8_t *u, int u_stride, uint8_t *v, int v_stride)
{
	uint8_t *planes[] = {y, u, v};
	int strides[] = {y_stride, u_stride, v_stride};

	return tjEncodeYUVPlanes(handle, rgb, width, 0, height, pixel_format,
				 planes, strides, TJSAMP_444, 0);
}

/* Twice as fast with AVX2, chosen when the program starts. */
#if defined(__x86_64__) && defined(__gnu_linux__)
__attribute__((target_clones("avx2", "default")))
#endif
void tb_rescale(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride,
		int width, int height, int16_t offset, int16_t scale, int bias)
{
	for (; height > 0; height--, src += src_stride, dst += dst_stride) {
		for (int i = 0; i < width; i++) {
			/* Products of 16 bits: those SSE2 can make. */
			int16_t in = (int16_t)(src[i] - offset);
			int16_t out = (int16_t)((in * scale + bias) >> 14);
			out = out < 0 ? 0 : out;
			dst[i] = (uint8_t)(out > 255 ? 255 : out);
		}
	}
}

static uint32_t to_byte(int32_t x)
{
	x = (x + (1 << 13)) >> 14;
	x = x < 0 ? 0 : x;
	return (uint32_t)(x > 255 ? 255 : x);
}

/* Three times as fast with AVX2. */
#if defined(__x86_64__) && defined(__gnu_linux__)
__attribute__((target_clones("avx2", "default")))
#endif
void tb_bgra(const uint8_t *y, int y_stride, const uint8_t *u, int u_stride, const uint8_t *v, int v_stride,
	     uint8_t *bgra, int stride, int width, int height, int offset, const int32_t factors[5])
{
	const int32_t luma = factors[0], red_v = factors[1], green_u = factors[2], green_v = factors[3], blue_u = factors[4];

	for (; height > 0; height--, y += y_stride, u += u_stride, v += v_stride, bgra += stride) {
		for (int i = 0; i < width; i++) {
			int32_t l = (y[i] - offset) * luma, cb = u[i] - 128, cr = v[i] - 128;
			uint32_t pixel = to_byte(l + blue_u * cb) | to_byte(l + green_u * cb + green_v * cr) << 8 |
					 to_byte(l + red_v * cr) << 16 | 0xFF000000;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			pixel = __builtin_bswap32(pixel);
#endif
			memcpy(bgra + 4 * i, &pixel, 4);
		}
	}
}
