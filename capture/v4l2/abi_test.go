package v4l2

import (
	"testing"
	"unsafe"
)

// The numbers are those of a C program with linux/videodev2.h, on amd64 and
// arm64 alike.
func TestLayoutIsTheKernels(t *testing.T) {
	for _, c := range []struct {
		member    string
		got, want uintptr
	}{
		{"v4l2_capability.version", unsafe.Offsetof(capability{}.version), 80},
		{"v4l2_capability.device_caps", unsafe.Offsetof(capability{}.deviceCaps), 88},
		{"v4l2_format.fmt.pix", unsafe.Offsetof(format{}.pix), 8},
		{"v4l2_pix_format.pixelformat", unsafe.Offsetof(pixFormat{}.pixelFormat), 8},
		{"v4l2_pix_format.bytesperline", unsafe.Offsetof(pixFormat{}.bytesPerLine), 16},
		{"v4l2_pix_format.quantization", unsafe.Offsetof(pixFormat{}.quantization), 40},
		{"v4l2_frmsizeenum.stepwise", unsafe.Offsetof(frmSizeEnum{}.stepwise), 12},
		{"v4l2_frmsize_stepwise.step_height", unsafe.Offsetof(frmSizeEnum{}.stepwise.stepHeight), 20},
		{"v4l2_frmivalenum.stepwise", unsafe.Offsetof(frmIvalEnum{}.stepwise), 20},
		{"v4l2_frmival_stepwise.step", unsafe.Offsetof(frmIvalEnum{}.stepwise.step), 16},
		{"v4l2_streamparm.parm.capture.timeperframe", unsafe.Offsetof(streamParm{}.timePerFrame), 12},
		{"v4l2_buffer.timestamp", unsafe.Offsetof(buffer{}.timestamp), 24},
		{"v4l2_buffer.sequence", unsafe.Offsetof(buffer{}.sequence), 56},
		{"v4l2_buffer.m", unsafe.Offsetof(buffer{}.m), 64},
		{"v4l2_buffer.length", unsafe.Offsetof(buffer{}.length), 72},
		{"v4l2_format.fmt.pix_mp", unsafe.Offsetof(formatMPlane{}.pix), 8},
		{"v4l2_pix_format_mplane.colorspace", unsafe.Offsetof(pixFormatMPlane{}.colorspace), 16},
		{"v4l2_pix_format_mplane.plane_fmt", unsafe.Offsetof(pixFormatMPlane{}.planes), 20},
		{"v4l2_pix_format_mplane.num_planes", unsafe.Offsetof(pixFormatMPlane{}.numPlanes), 180},
		{"v4l2_pix_format_mplane.ycbcr_enc", unsafe.Offsetof(pixFormatMPlane{}.ycbcrEnc), 182},
		{"v4l2_pix_format_mplane.quantization", unsafe.Offsetof(pixFormatMPlane{}.quantization), 183},
		{"v4l2_plane_pix_format.bytesperline", unsafe.Offsetof(planePixFormat{}.bytesPerLine), 4},
		{"v4l2_plane.m.mem_offset", unsafe.Offsetof(bufPlane{}.offset), 8},
		{"v4l2_plane.data_offset", unsafe.Offsetof(bufPlane{}.dataOffset), 16},
		{"v4l2_fmtdesc.pixelformat", unsafe.Offsetof(fmtDesc{}.pixelFormat), 44},
		{"v4l2_input.std", unsafe.Offsetof(input{}.std), 48},
		{"v4l2_input.status", unsafe.Offsetof(input{}.status), 56},
		{"v4l2_input.capabilities", unsafe.Offsetof(input{}.capabilities), 60},
		{"v4l2_event.u.src_change.changes", unsafe.Offsetof(event{}.count), 8},
		{"v4l2_query_ext_ctrl.minimum", unsafe.Offsetof(queryExtCtrl{}.minimum), 40},
		{"v4l2_query_ext_ctrl.default_value", unsafe.Offsetof(queryExtCtrl{}.def), 64},
		{"v4l2_query_ext_ctrl.flags", unsafe.Offsetof(queryExtCtrl{}.flags), 72},
		{"v4l2_querymenu.name", unsafe.Offsetof(queryMenu{}.name), 8},
		{"v4l2_ext_control.value", unsafe.Offsetof(extControl{}.value), 12},
		{"v4l2_ext_controls.controls", unsafe.Offsetof(extControls{}.controls), 24},
	} {
		if c.got != c.want {
			t.Errorf("%s is at byte %d, in the kernel at %d", c.member, c.got, c.want)
		}
	}
}

func TestIoctlNumbersAreTheKernels(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"VIDIOC_QUERYCAP", vidiocQueryCap, 0x80685600},
		{"VIDIOC_ENUM_FMT", vidiocEnumFmt, 0xc0405602},
		{"VIDIOC_G_FMT", vidiocGFmt, 0xc0d05604},
		{"VIDIOC_S_FMT", vidiocSFmt, 0xc0d05605},
		{"VIDIOC_REQBUFS", vidiocReqBufs, 0xc0145608},
		{"VIDIOC_QUERYBUF", vidiocQueryBuf, 0xc0585609},
		{"VIDIOC_QBUF", vidiocQBuf, 0xc058560f},
		{"VIDIOC_DQBUF", vidiocDQBuf, 0xc0585611},
		{"VIDIOC_STREAMON", vidiocStreamOn, 0x40045612},
		{"VIDIOC_STREAMOFF", vidiocStreamOff, 0x40045613},
		{"VIDIOC_G_PARM", vidiocGParm, 0xc0cc5615},
		{"VIDIOC_S_PARM", vidiocSParm, 0xc0cc5616},
		{"VIDIOC_G_STD", vidiocGStd, 0x80085617},
		{"VIDIOC_S_STD", vidiocSStd, 0x40085618},
		{"VIDIOC_ENUMINPUT", vidiocEnumInput, 0xc050561a},
		{"VIDIOC_G_INPUT", vidiocGInput, 0x80045626},
		{"VIDIOC_S_INPUT", vidiocSInput, 0xc0045627},
		{"VIDIOC_S_DV_TIMINGS", vidiocSDVTimings, 0xc0845657},
		{"VIDIOC_G_DV_TIMINGS", vidiocGDVTimings, 0xc0845658},
		{"VIDIOC_QUERY_DV_TIMINGS", vidiocQueryDVTimings, 0x80845663},
		{"VIDIOC_QUERYMENU", vidiocQueryMenu, 0xc02c5625},
		{"VIDIOC_G_EXT_CTRLS", vidiocGExtCtrls, 0xc0205647},
		{"VIDIOC_ENUM_FRAMESIZES", vidiocEnumFrameSizes, 0xc02c564a},
		{"VIDIOC_ENUM_FRAMEINTERVALS", vidiocEnumFrameIntervals, 0xc034564b},
		{"VIDIOC_QUERY_EXT_CTRL", vidiocQueryExtCtrl, 0xc0e85667},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, in the kernel %#x", c.name, c.got, c.want)
		}
	}
}
