// Package audio keeps the sound of a far microphone in step with its times, whatever the
// clock of that sound card, the link and the server do.
package audio
