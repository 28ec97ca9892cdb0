package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Limit bounds files by what they hold together, or by time; 0 is no limit.
type Limit struct {
	Size int64 // bytes
	Time time.Duration
}

// ParseLimit reads a time such as 90s, 10m, 12h or 7d, or a size such as 500MB
// or 20GiB, or one of each with a comma between them.
func ParseLimit(s string) (l Limit, err error) {
	for _, part := range strings.Split(s, ",") {
		d, isTime := parseTime(part) // 5m is a time, and never 5 MB as well
		if isTime && l.Time == 0 {
			l.Time = d
		} else if size, err := ParseSize(part); err == nil && !isTime && l.Size == 0 {
			l.Size = size
		} else {
			return Limit{}, fmt.Errorf("%q: want a time such as 10m or 7d, a size such as 500MB, or one of each with a comma", s)
		}
	}
	return l, nil
}

// parseTime reads a positive time as time.ParseDuration does, or a number of days.
func parseTime(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0
}

// Sizes outside of these are mistakes: a forgotten unit, or no disk's.
const (
	minSize = 1 << 10
	maxSize = 1 << 60
)

// ParseSize reads a number of bytes such as 256MiB or 20GB.
func ParseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n < minSize || n > maxSize {
		return 0, fmt.Errorf("%q: want a size such as 256MiB or 20GB", s)
	}
	return int64(n), nil
}
