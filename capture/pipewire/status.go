package pipewire

// Status is what a session's PipeWire has for cameras.
type Status struct {
	Managed bool     // a session manager runs, without which no camera is connected
	Cameras []string // names of the nodes
}

// ReadStatus asks the session's PipeWire. The error is why it cannot be asked.
func ReadStatus() (s Status, err error) {
	c, err := connect()
	if err != nil {
		return s, err
	}
	defer c.close()
	s.Managed = c.isManaged()
	for _, n := range c.nodes() {
		s.Cameras = append(s.Cameras, n.name)
	}
	return s, nil
}
