package v4l2

import "github.com/tbcam/tbcam/capture"

// formatOf returns the format of packed frames of a driver's format.
func formatOf(pix pixFormat) capture.Format {
	f := capture.Format{
		Pixel:  capture.PixelFormat(pix.pixelFormat),
		Width:  int(pix.width),
		Height: int(pix.height),
	}
	f.Matrix, f.Range = colorOf(pix)
	return f
}

// colorOf maps the colour of a driver's format, with the defaults of
// V4L2_MAP_YCBCR_ENC_DEFAULT and V4L2_MAP_QUANTIZATION_DEFAULT in videodev2.h.
// What a driver reports of JPEGs does not count: JFIF knows one colour.
func colorOf(pix pixFormat) (capture.Matrix, capture.Range) {
	if capture.PixelFormat(pix.pixelFormat).Compressed() {
		return capture.BT601, capture.Full
	}
	return matrixOf(pix.ycbcrEnc, pix.colorspace), rangeOf(pix)
}

// matrixOf takes BT.2020 and SMPTE 240M for BT.709, the nearest one here.
func matrixOf(encoding, colorspace uint32) capture.Matrix {
	if encoding == ycbcrEncDefault {
		switch colorspace {
		case colorspaceRec709, colorspaceDCIP3, colorspaceBT2020, colorspaceSMPTE240M:
			return capture.BT709
		}
		return capture.BT601
	}
	switch encoding {
	case ycbcrEnc709, ycbcrEncXV709, ycbcrEncBT2020, ycbcrEncBT2020CL, ycbcrEncSMPTE240M:
		return capture.BT709
	}
	return capture.BT601
}

// rangeOf takes grey for full range where the driver leaves it open, as the kernel's
// own test pattern and FFmpeg do: infrared and thermal cameras use all values.
func rangeOf(pix pixFormat) capture.Range {
	info := capture.PixelFormat(pix.pixelFormat).Info()
	switch {
	case pix.quantization == quantizationFullRange:
		return capture.Full
	case pix.quantization == quantizationLimRange:
		return capture.Limited
	case info.IsRGB(), info.Planar == capture.GREY, pix.colorspace == colorspaceJPEG:
		return capture.Full
	}
	return capture.Limited
}

// pixOf returns the driver's format for packed frames of f.
func pixOf(f capture.Format) pixFormat {
	planes, _ := f.Planes()
	pix := pixFormat{
		width:        uint32(f.Width),
		height:       uint32(f.Height),
		pixelFormat:  uint32(f.Pixel),
		field:        fieldNone,
		bytesPerLine: uint32(planes[0].Stride),
		sizeImage:    uint32(f.Size()),
		colorspace:   colorspaceSRGB,
		ycbcrEnc:     ycbcrEnc601,
		quantization: quantizationLimRange,
	}
	if f.Matrix == capture.BT709 {
		pix.colorspace, pix.ycbcrEnc = colorspaceRec709, ycbcrEnc709
	}
	if f.Range == capture.Full {
		pix.quantization = quantizationFullRange
	}
	if f.Pixel.Compressed() {
		pix.colorspace = colorspaceJPEG
	}
	return pix
}
