package transport

// What tests outside of the package need of its inside.
var (
	Encode   = encodeMessage
	OwnPeer  = ownPeer
	ErrStill = errStill
)

const (
	Liveness      = liveness
	PingEvery     = pingEvery
	ByeWait       = byeWait
	AnswerWait    = answerWait
	Hellos        = len(helloWaits)
	MaxSettings   = maxSettings
	MaxPending    = maxPending
	MaxSetPayload = maxSetPayload
	MaxCameras    = maxCameras
	MaxModes      = maxModes
	MaxControls   = maxControls
	MaxInputs     = maxInputs
	MaxReason     = maxReason
	SettingEvery  = settingEvery
	MotorEvery    = motorEvery
	MaxWindow     = maxWindow
)

type (
	Request         = request
	SetMessage      = setMessage
	NumberSetting   = numberSetting
	ControlsMessage = controlsMessage
	Answer          = answer
)
