#include "audio.h"

const struct spa_pod *tb_audio_format(struct spa_pod_builder *b, uint32_t channels)
{
	struct spa_audio_info_raw info = {
		.format = SPA_AUDIO_FORMAT_S16_LE, .rate = TB_RATE, .channels = channels,
		.position = {SPA_AUDIO_CHANNEL_MONO},
	};
	if (channels == 2) {
		info.position[0] = SPA_AUDIO_CHANNEL_FL;
		info.position[1] = SPA_AUDIO_CHANNEL_FR;
	}
	return spa_format_audio_raw_build(b, SPA_PARAM_EnumFormat, &info);
}
