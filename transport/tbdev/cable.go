package tbdev

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Cable is what the kernel shows of a stream and of the cable that it runs over. What it
// does not show is "".
type Cable struct {
	Domain           string // of the controller, such as domain0
	RxSpeed, TxSpeed string // of a lane, such as "20.0 Gb/s"
	RxLanes, TxLanes string
	RingSize         string // packets
	Throttling       string // nanoseconds
}

// DescribeCable returns the cable of a stream device, such as /dev/tbstream0; found is
// false where ConfigFS has none of that number. The name of the peer, which the kernel
// knows, is not in it.
func DescribeCable(root, device string) (c Cable, found bool) {
	groups, _ := filepath.Glob(filepath.Join(root, Streams, "*", "*", "index")) // the pattern is well-formed
	for _, index := range groups {
		if n, err := readInt(index); err == nil && device == fmt.Sprintf("/dev/tbstream%d", n) {
			return describeGroup(root, filepath.Dir(index)), true
		}
	}
	return Cable{}, false
}

// describeGroup describes the cable of the stream with that directory.
func describeGroup(root, group string) Cable {
	service := filepath.Base(filepath.Dir(group))
	host, _, _ := strings.Cut(service, ".")
	domain, _, _ := strings.Cut(host, "-")
	read := func(parts ...string) string {
		text, _ := os.ReadFile(filepath.Join(parts...))
		return strings.TrimSpace(string(text))
	}
	peer := filepath.Join(root, devices, host)
	return Cable{
		Domain:  "domain" + domain,
		RxSpeed: read(peer, "rx_speed"), TxSpeed: read(peer, "tx_speed"),
		RxLanes: read(peer, "rx_lanes"), TxLanes: read(peer, "tx_lanes"),
		RingSize: read(group, "ring_size"), Throttling: read(group, "throttling"),
	}
}
