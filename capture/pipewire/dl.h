// The functions of libpipewire-0.3 that this package calls, found at run time. All of
// them exist since 0.3.65; what SPA needs is inline.
#ifndef TBCAM_PIPEWIRE_DL_H
#define TBCAM_PIPEWIRE_DL_H

#include <pipewire/pipewire.h>
#include <pipewire/extensions/metadata.h>
#include <spa/debug/types.h>
#include <spa/param/buffers.h>
#include <spa/param/props.h>
#include <spa/param/video/format-utils.h>
#include <spa/param/video/type-info.h>
#include <spa/pod/builder.h>
#include <spa/pod/iter.h>

#define TB_FUNCTIONS(f) \
	f(pw_init) f(pw_log_set_level) f(pw_properties_new) f(pw_properties_set) f(pw_proxy_destroy) \
	f(pw_thread_loop_new) f(pw_thread_loop_destroy) f(pw_thread_loop_start) f(pw_thread_loop_stop) \
	f(pw_thread_loop_get_loop) f(pw_thread_loop_lock) f(pw_thread_loop_unlock) f(pw_thread_loop_signal) \
	f(pw_thread_loop_get_time) f(pw_thread_loop_timed_wait_full) \
	f(pw_context_new) f(pw_context_connect) f(pw_context_destroy) f(pw_core_disconnect) \
	f(pw_stream_new) f(pw_stream_destroy) f(pw_stream_add_listener) f(pw_stream_connect) \
	f(pw_stream_get_node_id) f(pw_stream_update_params) f(pw_stream_update_properties) \
	f(pw_stream_dequeue_buffer) f(pw_stream_queue_buffer) f(pw_stream_trigger_process) \
	f(pw_stream_get_time_n)

struct tb_functions {
#define TB_MEMBER(f) __typeof__(&f) f##_;
	TB_FUNCTIONS(TB_MEMBER)
#undef TB_MEMBER
};

extern struct tb_functions tb_pw;

#endif
