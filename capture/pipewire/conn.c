#include "conn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void tb_wake(struct tb_conn *c)
{
	c->changes++;
	tb_wake_for_audio(c);
}

void tb_wake_for_audio(struct tb_conn *c)
{
	uint64_t one = 1;
	if (write(c->wake, &one, sizeof(one)) < 0)
		return; // it is set already
}

int64_t tb_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return SPA_TIMESPEC_TO_NSEC(&t);
}

static void on_done(void *data, uint32_t id, int seq)
{
	struct tb_conn *c = data;
	if (id == PW_ID_CORE)
		c->answered = seq;
	tb_pw.pw_thread_loop_signal_(c->loop, false);
}

static void on_error(void *data, uint32_t id, int seq, int res, const char *message)
{
	struct tb_conn *c = data;
	if (id != PW_ID_CORE)
		return; // of an object that went while it was asked
	// A core has one error that ends it, and some of single requests.
	if (res == -EPIPE)
		c->error = res;
	tb_pw.pw_thread_loop_signal_(c->loop, false);
	tb_wake(c);
}

static const struct pw_core_events core_events = {
	PW_VERSION_CORE_EVENTS,
	.done = on_done,
	.error = on_error,
};

static void copy_text(char *to, size_t size, const struct spa_dict *props, const char *key)
{
	const char *text = spa_dict_lookup(props, key);
	snprintf(to, size, "%s", text ? text : "");
}

// on_info takes the properties that the registry does not have, as which API a device has.
static void on_info(void *data, const struct pw_node_info *info)
{
	struct tb_bound *b = data;
	for (uint32_t i = 0; info->props && i < b->c->n_nodes; i++) {
		struct tb_node *n = &b->c->nodes[i];
		if (b->c->bound[i] != b)
			continue;
		copy_text(n->api, sizeof(n->api), info->props, PW_KEY_DEVICE_API);
		const char *channels = spa_dict_lookup(info->props, PW_KEY_AUDIO_CHANNELS);
		n->channels = channels ? atoi(channels) : 0;
		if (spa_dict_lookup(info->props, "api.v4l2.path")) // without a device that made it
			snprintf(n->api, sizeof(n->api), "v4l2");
		if (!b->known)
			tb_wake(b->c);
		b->known = true;
	}
}

static const struct pw_node_events node_events = {
	PW_VERSION_NODE_EVENTS,
	.info = on_info,
};

// watch_node has the properties of a node come.
static struct tb_bound *watch_node(struct tb_conn *c, uint32_t id)
{
	struct tb_bound *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->c = c;
	b->proxy = pw_registry_bind(c->registry, id, PW_TYPE_INTERFACE_Node, PW_VERSION_NODE, 0);
	if (!b->proxy) {
		free(b);
		return NULL;
	}
	pw_node_add_listener((struct pw_node *)b->proxy, &b->listener, &node_events, b);
	return b;
}

static void free_bound(struct tb_bound *b)
{
	spa_hook_remove(&b->listener);
	tb_pw.pw_proxy_destroy_(b->proxy);
	free(b);
}

// add_node takes note of a camera or a microphone. It is listed once its properties are known.
static void add_node(struct tb_conn *c, uint32_t id, const struct spa_dict *props)
{
	const char *class = spa_dict_lookup(props, PW_KEY_MEDIA_CLASS);
	if (!class || c->n_nodes == TB_NODES)
		return;
	bool audio = strncmp(class, "Audio/Source", strlen("Audio/Source")) == 0;
	if (!audio && strcmp(class, "Video/Source") != 0)
		return;
	struct tb_bound *b = watch_node(c, id);
	if (!b)
		return;
	c->bound[c->n_nodes] = b;
	struct tb_node *n = &c->nodes[c->n_nodes++];
	memset(n, 0, sizeof(*n));
	n->id = id;
	n->audio = audio;
	copy_text(n->serial, sizeof(n->serial), props, PW_KEY_OBJECT_SERIAL);
	copy_text(n->name, sizeof(n->name), props, PW_KEY_NODE_NAME);
	copy_text(n->description, sizeof(n->description), props, PW_KEY_NODE_DESCRIPTION);
}

// add_port takes note of an output of a node.
static void add_port(struct tb_conn *c, uint32_t id, const struct spa_dict *props)
{
	const char *direction = spa_dict_lookup(props, PW_KEY_PORT_DIRECTION);
	const char *node = spa_dict_lookup(props, PW_KEY_NODE_ID);
	if (direction && node && strcmp(direction, "out") == 0 && c->n_ports < TB_PORTS)
		c->ports[c->n_ports++] = (struct tb_port){id, atoi(node)};
}

static int on_property(void *data, uint32_t subject, const char *key, const char *type, const char *value)
{
	struct tb_conn *c = data;
	if (subject == 0 && (!key || strcmp(key, "default.audio.source") == 0)) {
		snprintf(c->source, sizeof(c->source), "%s", value ? value : "");
		tb_wake(c);
	}
	return 0;
}

static const struct pw_metadata_events metadata_events = {
	PW_VERSION_METADATA_EVENTS,
	.property = on_property,
};

// watch_metadata has the defaults of the session manager come.
static void watch_metadata(struct tb_conn *c, uint32_t id)
{
	if (c->metadata)
		return;
	c->manager = id;
	c->metadata = pw_registry_bind(c->registry, id, PW_TYPE_INTERFACE_Metadata, PW_VERSION_METADATA, 0);
	if (c->metadata)
		pw_metadata_add_listener((struct pw_metadata *)c->metadata, &c->metadata_listener, &metadata_events, c);
}

static void forget_metadata(struct tb_conn *c)
{
	c->manager = SPA_ID_INVALID;
	c->source[0] = 0;
	if (c->metadata) {
		spa_hook_remove(&c->metadata_listener);
		tb_pw.pw_proxy_destroy_(c->metadata);
	}
	c->metadata = NULL;
}

static void on_global(void *data, uint32_t id, uint32_t permissions, const char *type, uint32_t version,
		      const struct spa_dict *props)
{
	struct tb_conn *c = data;
	if (!props)
		return;
	if (strcmp(type, PW_TYPE_INTERFACE_Node) == 0) {
		add_node(c, id, props);
	} else if (strcmp(type, PW_TYPE_INTERFACE_Port) == 0) {
		add_port(c, id, props);
	} else if (strcmp(type, PW_TYPE_INTERFACE_Metadata) == 0) {
		const char *name = spa_dict_lookup(props, PW_KEY_METADATA_NAME);
		if (name && strcmp(name, "default") == 0)
			watch_metadata(c, id);
	}
}

static void on_global_remove(void *data, uint32_t id)
{
	struct tb_conn *c = data;
	if (id == c->manager) {
		forget_metadata(c);
		tb_wake(c);
	}
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].id == id)
			c->ports[i] = c->ports[--c->n_ports];
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].id == id) {
			free_bound(c->bound[i]);
			c->nodes[i] = c->nodes[--c->n_nodes];
			c->bound[i] = c->bound[c->n_nodes];
			tb_wake(c);
			tb_pw.pw_thread_loop_signal_(c->loop, false);
			return;
		}
	}
}

static const struct pw_registry_events registry_events = {
	PW_VERSION_REGISTRY_EVENTS,
	.global = on_global,
	.global_remove = on_global_remove,
};

int tb_wait(struct tb_conn *c, int wait_ms, bool (*done)(void *), void *data)
{
	struct timespec end;
	tb_pw.pw_thread_loop_get_time_(c->loop, &end, wait_ms * SPA_NSEC_PER_MSEC);
	while (!done(data)) {
		if (c->error)
			return c->error;
		if (tb_pw.pw_thread_loop_timed_wait_full_(c->loop, &end) != 0 && !done(data))
			return -ETIMEDOUT;
	}
	return 0;
}

static bool is_answered(void *data)
{
	struct tb_conn *c = data;
	return c->answered == c->asked;
}

int tb_sync(struct tb_conn *c, int wait_ms)
{
	c->asked = pw_core_sync(c->core, PW_ID_CORE, 0);
	return tb_wait(c, wait_ms, is_answered, c);
}

bool tb_has_node(struct tb_conn *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->n_nodes; i++)
		if (c->nodes[i].id == id)
			return true;
	return false;
}

// start_threads starts the threads of the connection. Go's signals are not for them: its
// handlers would enter Go.
static int start_threads(struct tb_conn *c, bool real_time)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int res = -ENOMEM;
	c->loop = tb_pw.pw_thread_loop_new_("tbcam", NULL);
	if (c->loop)
		c->context = tb_pw.pw_context_new_(tb_pw.pw_thread_loop_get_loop_(c->loop),
			real_time ? tb_pw.pw_properties_new_(PW_KEY_CONFIG_NAME, "client-rt.conf", NULL) : NULL, 0);
	if (c->context)
		res = tb_pw.pw_thread_loop_start_(c->loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return res;
}

static int connect_core(struct tb_conn *c, int wait_ms)
{
	c->core = tb_pw.pw_context_connect_(c->context, NULL, 0);
	if (!c->core)
		return errno ? -errno : -EHOSTDOWN;
	pw_core_add_listener(c->core, &c->core_listener, &core_events, c);
	c->registry = pw_core_get_registry(c->core, PW_VERSION_REGISTRY, 0);
	if (!c->registry)
		return -ENOMEM;
	pw_registry_add_listener(c->registry, &c->registry_listener, &registry_events, c);
	// The registry's objects come first, and then the properties of nodes.
	int res = tb_sync(c, wait_ms);
	return res < 0 ? res : tb_sync(c, wait_ms);
}

int tb_conn_open(struct tb_conn **out, bool real_time, int wait_ms)
{
	struct tb_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->manager = SPA_ID_INVALID;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int res = c->wake < 0 ? -errno : start_threads(c, real_time);
	if (res >= 0) {
		tb_lock(c);
		res = connect_core(c, wait_ms);
		tb_unlock(c);
	}
	if (res < 0) {
		if (c->wake >= 0)
			close(c->wake);
		tb_conn_close(c);
		return res;
	}
	*out = c;
	return 0;
}

void tb_conn_close(struct tb_conn *c)
{
	if (c->loop)
		tb_lock(c);
	for (uint32_t i = 0; i < c->n_nodes; i++)
		free_bound(c->bound[i]);
	forget_metadata(c);
	if (c->registry)
		tb_pw.pw_proxy_destroy_((struct pw_proxy *)c->registry);
	if (c->core) {
		spa_hook_remove(&c->core_listener);
		tb_pw.pw_core_disconnect_(c->core);
	}
	if (c->context)
		tb_pw.pw_context_destroy_(c->context);
	if (c->loop) {
		tb_unlock(c);
		tb_pw.pw_thread_loop_stop_(c->loop);
		tb_pw.pw_thread_loop_destroy_(c->loop);
	}
	free(c);
}

int tb_conn_wake(struct tb_conn *c) { return c->wake; }

_Atomic uint32_t *tb_conn_changes(struct tb_conn *c) { return &c->changes; }

int tb_conn_error(struct tb_conn *c)
{
	tb_lock(c);
	int error = c->error;
	tb_unlock(c);
	return error;
}

bool tb_conn_managed(struct tb_conn *c)
{
	tb_lock(c);
	bool managed = c->manager != SPA_ID_INVALID;
	tb_unlock(c);
	return managed;
}

void tb_conn_default(struct tb_conn *c, char *text, size_t size)
{
	tb_lock(c);
	snprintf(text, size, "%s", c->source);
	tb_unlock(c);
}

int tb_conn_nodes(struct tb_conn *c, struct tb_node *nodes)
{
	int n = 0;
	tb_lock(c);
	for (uint32_t i = 0; i < c->n_nodes; i++)
		if (c->bound[i]->known)
			nodes[n++] = c->nodes[i];
	tb_unlock(c);
	return n;
}
