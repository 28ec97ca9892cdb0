#include "pipewire.h"
#include "dl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

struct tb_functions tb_pw;

int tb_load(char *text, size_t size)
{
	// Never unloaded: the library starts threads and loads plugins.
	void *library = dlopen("libpipewire-0.3.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		snprintf(text, size, "%s", dlerror());
		return -ENOENT;
	}
#define TB_FIND(f) \
	if (!(tb_pw.f##_ = (__typeof__(&f))dlsym(library, #f))) { \
		snprintf(text, size, "%s is missing", #f); \
		return -ENOSYS; \
	}
	TB_FUNCTIONS(TB_FIND)
	tb_pw.pw_init_(NULL, NULL);
	if (!getenv("PIPEWIRE_DEBUG")) // what goes wrong is returned, and logged once
		tb_pw.pw_log_set_level_(SPA_LOG_LEVEL_NONE);
	return 0;
}
