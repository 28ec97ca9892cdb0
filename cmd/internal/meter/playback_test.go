package meter

import (
	"strings"
	"testing"
)

// TestPlayback: what plays the far microphone is in the line, the table and the object.
func TestPlayback(t *testing.T) {
	s := Summary{Program: "tbcam-view", Playback: []Playback{
		{Output: "virtual microphone", Listening: true, Latency: 31.23456, Fill: 20.7, Target: 20.6667, Correction: -34.56, Underruns: 2, Silence: 512},
		{Output: "loudspeaker"},
	}}
	var line, table, object strings.Builder
	for _, err := range []error{s.Line(&line), s.Table(&table), s.JSON(&object)} {
		if err != nil {
			t.Error(err)
		}
	}
	const first = "virtual microphone: 31.2 ms, 20.7 of 20.7 ms wait, -35 ppm, underruns 2, samples missing 512"
	if !strings.HasSuffix(line.String(), "; "+first+"; loudspeaker: nobody listens\n") {
		t.Errorf("the line is %q", &line)
	}
	if !strings.Contains(table.String(), "\n"+first+"\nloudspeaker: nobody listens\n") {
		t.Errorf("the table is %q", &table)
	}
	if !strings.Contains(object.String(), `"playback":[{"output":"virtual microphone","listening":true,"latency_ms":31.235,"fill_ms":20.7,"target_ms":20.667,"correction_ppm":-34.6,"lost_blocks":0,`) {
		t.Errorf("the object is %s", &object)
	}
	if s.Playback[0].Latency != 31.23456 {
		t.Error("the figures themselves were rounded")
	}
}
