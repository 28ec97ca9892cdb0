package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

func testNode(number int, driver, card string, caps uint32) node {
	n := node{path: "/dev/video" + strconv.Itoa(number), number: number}
	copy(n.cap.driver[:], driver)
	copy(n.cap.card[:], card)
	n.cap.capabilities = capVideoCapture | capMetaCapture | capStreaming | capDeviceCaps
	n.cap.deviceCaps = caps
	return n
}

const camera = capVideoCapture | capStreaming

// laptop has what laptops have: each UVC camera has a metadata node.
var laptop = []node{
	testNode(0, "uvcvideo", "Integrated Camera: Integrated C", camera),
	testNode(1, "uvcvideo", "Integrated Camera: Integrated C", capMetaCapture|capStreaming),
	testNode(2, "uvcvideo", "Integrated Camera: Integrated I", camera),
	testNode(4, "uvcvideo", "HD Pro Webcam C920", camera),
	testNode(3, "v4l2 loopback", "tbcam", camera),
}

// find finds the camera of a name among nodes; those whose card ends in I see
// infrared only.
func find(nodes []node, name string) (capture.Device, error) {
	candidates, err := matchCameras(nodes, name)
	if err != nil {
		return capture.Device{}, err
	}
	return chooseCamera(candidates, name, nodes, func(n node) (capture.Device, error) {
		return capture.Device{Path: n.path, Name: n.name(), Infrared: strings.HasSuffix(n.name(), "I")}, nil
	})
}

// twins are two cameras of one name, and a laptop's two sensors.
var twins = []node{
	testNode(0, "uvcvideo", "Twin I", camera),
	testNode(1, "uvcvideo", "Laptop I", camera),
	testNode(2, "uvcvideo", "Twin", camera),
	testNode(4, "uvcvideo", "Twin", camera),
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		nodes []node
		name  string
		want  int // number of its node
	}{
		{laptop, "", 0},
		{laptop, "HD Pro Webcam C920", 4},
		{laptop, "hd pro webcam c920", 4},
		{laptop, "c920", 4},
		{laptop, "integrated i", 2},
		{laptop, "integrated", 0}, // the other one sees infrared only
		{laptop, "TBCAM", 3},
		{twins, "", 2},
		{twins, "Twin I", 0},
		{twins, "laptop", 1},
	} {
		got, err := find(c.nodes, c.name)
		if err != nil || got.Path != "/dev/video"+strconv.Itoa(c.want) {
			t.Errorf("%q: %v, %v; want /dev/video%d", c.name, got.Path, err, c.want)
		}
	}
}

// Where there is no camera at all, the error is one that a program has a remedy for.
func TestFindNothing(t *testing.T) {
	if _, err := find(nil, ""); err != capture.ErrNoneFound {
		t.Error(err)
	}
	if _, err := find(twins[:2], ""); !errors.Is(err, capture.ErrNotNamed) {
		t.Error(err)
	}
}

func TestFindSaysWhatThereIs(t *testing.T) {
	closed := node{path: "/dev/video0", err: explainError("open", "/dev/video0", unix.EACCES)}
	for _, c := range []struct {
		what  string
		nodes []node
		name  string
		want  []string
	}{
		{"ambiguous", twins, "twi", []string{`"twi" may be`, "/dev/video0", "/dev/video2", "/dev/video4"}},
		{"two of one name", twins, "twin", []string{`several have that name: "twin" may be /dev/video2 (Twin), /dev/video4 (Twin)`}},
		{"unknown", laptop, "brio", []string{`"brio"`, "/dev/video4 (HD Pro Webcam C920)"}},
		{"nothing", nil, "", []string{"none found"}},
		{"infrared only", twins[:2], "", []string{"none in colour; there is /dev/video0 (Twin I)"}},
		{"not allowed", []node{closed}, "", []string{"permission denied"}},
		{"by the media controller", []node{testNode(0, "rkisp", "mainpath", camera|capIOMC)}, "", []string{"libcamera"}},
		{"by its driver", []node{testNode(0, "intel-ipu6-isys", "ipu6", camera)}, "", []string{"libcamera"}},
		{"Raspberry Pi", []node{testNode(0, "unicam", "unicam", camera)}, "", []string{"libcamera"}},
	} {
		_, err := find(c.nodes, c.name)
		if !errors.Is(err, capture.ErrNoCamera) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if closedOnly := c.what == "not allowed"; errors.Is(err, capture.ErrNotAllowed) != closedOnly {
			t.Errorf("%s: %v is ErrNotAllowed: %v", c.what, err, !closedOnly)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", c.what, err, want)
			}
		}
	}
}

func TestNodesThatAreNoCameras(t *testing.T) {
	for _, c := range []struct {
		caps uint32
		want string
	}{
		{capMetaCapture | capStreaming, "metadata"},
		{capVideoOutput | capStreaming, "does not capture"},
		{capVideoCaptureMPlane, "cannot stream"},
		{capVideoM2M | capStreaming, "converts"},
		{capVideoCapture, "cannot stream"},
	} {
		n := testNode(7, "driver", "card", c.caps)
		if err := n.notCamera(); !errors.Is(err, capture.ErrNoCamera) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("capabilities %#x: %v, want %q", c.caps, err, c.want)
		}
	}
}

func TestDescribeWithoutANode(t *testing.T) {
	if _, err := Describe(filepath.Join(t.TempDir(), "video0")); !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("a path that does not exist: %v", err)
	}
	if _, err := Describe(os.DevNull); err == nil || !strings.Contains(err.Error(), "not a V4L2 device") {
		t.Errorf("%s: %v", os.DevNull, err)
	}
}

func TestLoopbackThatDoesNotExist(t *testing.T) {
	_, err := Loopback(filepath.Join(t.TempDir(), "video0"))
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, ErrNoLoopback) {
		t.Errorf("Loopback: %v", err)
	}
}

func TestHoldersAreNamed(t *testing.T) {
	proc := t.TempDir()
	for pid, open := range map[int]string{10: "/dev/video0", 11: "/dev/null", os.Getpid(): "/dev/video0"} {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		for _, err := range []error{
			os.MkdirAll(dir+"/fd", 0o755),
			os.WriteFile(dir+"/comm", []byte("firefox\n"), 0o644),
			os.Symlink(open, dir+"/fd/3"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	got := findHolders(proc, "/dev/video0")
	if len(got) != 1 || got[0] != "firefox (pid 10)" {
		t.Errorf("holders are %q", got)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	for _, c := range []struct {
		errno unix.Errno
		is    error
		text  string
	}{
		{unix.EBUSY, capture.ErrBusy, "VIDIOC_S_FMT /dev/video0: camera is busy"},
		{unix.ENODEV, capture.ErrGone, "camera was disconnected"},
		{unix.ENXIO, capture.ErrGone, "camera was disconnected"},
		{unix.ENOENT, capture.ErrNoCamera, "no such camera"},
		{unix.EACCES, unix.EACCES, "VIDIOC_S_FMT /dev/video0: permission denied"},
		{unix.EPERM, capture.ErrNotAllowed, "VIDIOC_S_FMT /dev/video0: operation not permitted"},
		{unix.EINVAL, unix.EINVAL, "VIDIOC_S_FMT /dev/video0: invalid argument"},
	} {
		err := explainError("VIDIOC_S_FMT", "/dev/video0", c.errno)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", c.errno, err)
		}
	}
}
