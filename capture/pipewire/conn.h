// The inside of a connection, for the files of this package.
#ifndef TBCAM_PIPEWIRE_CONN_H
#define TBCAM_PIPEWIRE_CONN_H

#include "dl.h"
#define TB_INSIDE
#include "pipewire.h"

#define TB_PORTS 512

struct tb_conn {
	struct pw_thread_loop *loop;
	struct pw_context *context;
	struct pw_core *core;
	struct pw_registry *registry;
	struct spa_hook core_listener, registry_listener;
	int wake;           // eventfd
	TB_SHARED uint32_t changes; // calls of tb_wake
	int error;          // negative errno
	int asked, answered; // sequence numbers of the core
	uint32_t manager;   // id of the object that only a session manager makes
	struct pw_proxy *metadata; // that object
	struct spa_hook metadata_listener;
	char source[320];   // what it has of the default source, as JSON
	struct tb_node nodes[TB_NODES];
	struct tb_bound *bound[TB_NODES]; // of each node
	uint32_t n_nodes;
	struct tb_port { uint32_t id, node; } ports[TB_PORTS]; // outputs, of any node
	uint32_t n_ports;
};

// tb_bound is what a node is watched by.
struct tb_bound {
	struct tb_conn *c;
	struct pw_proxy *proxy;
	struct spa_hook listener;
	bool known; // its properties came
};

#define tb_lock(c) tb_pw.pw_thread_loop_lock_((c)->loop)
#define tb_unlock(c) tb_pw.pw_thread_loop_unlock_((c)->loop)

// tb_wake wakes whoever waits, for something that has changed; tb_wake_for_audio for a block.
void tb_wake(struct tb_conn *c);
void tb_wake_for_audio(struct tb_conn *c);

// tb_now returns the time on CLOCK_MONOTONIC, in nanoseconds.
int64_t tb_now(void);

// tb_wait waits, with the lock held, until done(data) holds or the time is over.
int tb_wait(struct tb_conn *c, int wait_ms, bool (*done)(void *), void *data);

// tb_sync waits, with the lock held, until the daemon has done all that was asked.
int tb_sync(struct tb_conn *c, int wait_ms);

bool tb_has_node(struct tb_conn *c, uint32_t id);

#endif
