package v4l2

import (
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestColorOfADriversFormat(t *testing.T) {
	for _, c := range []struct {
		name                     string
		pixel                    capture.PixelFormat
		space, encoding, quantum uint32
		matrix                   capture.Matrix
		samples                  capture.Range
	}{
		{"nothing set", capture.YUYV, colorspaceDefault, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Limited},
		{"webcam", capture.YUYV, colorspaceSRGB, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Limited},
		{"webcam that names its matrix", capture.NV12, colorspaceSRGB, ycbcrEnc601, quantizationLimRange, capture.BT601, capture.Limited},
		{"SD video", capture.UYVY, colorspaceSMPTE170M, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Limited},
		{"HD video", capture.UYVY, colorspaceRec709, ycbcrEncDefault, quantizationDefault, capture.BT709, capture.Limited},
		{"HD video with the SD matrix", capture.UYVY, colorspaceRec709, ycbcrEnc601, quantizationDefault, capture.BT601, capture.Limited},
		{"SD video with the HD matrix", capture.UYVY, colorspaceSMPTE170M, ycbcrEnc709, quantizationDefault, capture.BT709, capture.Limited},
		{"full range", capture.YUV420, colorspaceRec709, ycbcrEncDefault, quantizationFullRange, capture.BT709, capture.Full},
		{"xvYCC", capture.YUV420, colorspaceRec709, ycbcrEncXV709, quantizationDefault, capture.BT709, capture.Limited},
		{"xvYCC of SD", capture.YUV420, colorspaceSMPTE170M, ycbcrEncXV601, quantizationDefault, capture.BT601, capture.Limited},
		{"sYCC", capture.YUV420, colorspaceSRGB, ycbcrEncSYCC, quantizationFullRange, capture.BT601, capture.Full},
		{"UHD video", capture.NV12, colorspaceBT2020, ycbcrEncDefault, quantizationDefault, capture.BT709, capture.Limited},
		{"SMPTE 240M", capture.NV12, colorspaceSMPTE240M, ycbcrEncDefault, quantizationDefault, capture.BT709, capture.Limited},
		{"raw of a JPEG colorspace", capture.YUYV, colorspaceJPEG, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Full},
		{"RGB", capture.RGB24, colorspaceSRGB, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Full},
		{"grey", capture.GREY, colorspaceDefault, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Full},
		{"grey of 10 bits and limited range", capture.Y10, colorspaceDefault, ycbcrEncDefault, quantizationLimRange, capture.BT601, capture.Limited},
		{"RGB of limited range", capture.BGR24, colorspaceSRGB, ycbcrEncDefault, quantizationLimRange, capture.BT601, capture.Limited},
		{"JPEG", capture.JPEG, colorspaceJPEG, ycbcrEncDefault, quantizationDefault, capture.BT601, capture.Full},
		{"JPEG, whatever the driver reports", capture.MJPEG, colorspaceRec709, ycbcrEnc709, quantizationLimRange, capture.BT601, capture.Full},
	} {
		pix := pixFormat{pixelFormat: uint32(c.pixel), colorspace: c.space, ycbcrEnc: c.encoding, quantization: c.quantum}
		if matrix, samples := colorOf(pix); matrix != c.matrix || samples != c.samples {
			t.Errorf("%s: matrix %d, range %d; want %d, %d", c.name, matrix, samples, c.matrix, c.samples)
		}
	}
}

func TestFormatSurvivesTheDriversFormat(t *testing.T) {
	for _, pixel := range append(capture.RawFormats(), capture.MJPEG) {
		for _, matrix := range []capture.Matrix{capture.BT601, capture.BT709} {
			for _, samples := range []capture.Range{capture.Limited, capture.Full} {
				want := capture.Format{Pixel: pixel, Width: 64, Height: 32, Matrix: matrix, Range: samples}
				if pixel.Compressed() {
					want.Matrix, want.Range = capture.BT601, capture.Full
				}
				if got := formatOf(pixOf(want)); got != want {
					t.Errorf("%+v became %+v", want, got)
				}
			}
		}
	}
}
