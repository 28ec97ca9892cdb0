// What the streams of audio share.
#ifndef TBCAM_PIPEWIRE_AUDIO_H
#define TBCAM_PIPEWIRE_AUDIO_H

#include "conn.h"

#include <spa/param/audio/format-utils.h>

#define TB_RATE 48000
#define TB_LATENCY "256/48000" // the quantum that is asked for; PipeWire takes the smallest

// tb_audio_format builds S16LE at 48 kHz.
const struct spa_pod *tb_audio_format(struct spa_pod_builder *b, uint32_t channels);

#endif
