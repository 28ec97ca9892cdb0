#include "conn.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(TB_BOOL == SPA_TYPE_Bool && TB_INT == SPA_TYPE_Int && TB_FLOAT == SPA_TYPE_Float &&
	TB_MJPEG == SPA_VIDEO_FORMAT_ENCODED, "constants of Go are not those of SPA");

// description is what a node answers.
struct description {
	struct tb_node *node;
	struct spa_hook listener;
};

// values returns the values of a property: of a choice all, with the default first.
static uint32_t values(const struct spa_pod *format, uint32_t key, uint32_t type, const void **first, uint32_t *choice)
{
	const struct spa_pod_prop *p = spa_pod_find_prop(format, NULL, key);
	if (!p)
		return 0;
	uint32_t n;
	struct spa_pod *v = spa_pod_get_values(&p->value, &n, choice);
	if (!v || v->type != type || n == 0)
		return 0;
	*first = SPA_POD_BODY_CONST(v);
	// The default of an enumeration is among its values again.
	if (*choice == SPA_CHOICE_Enum && n > 1) {
		*first = SPA_PTROFF(*first, v->size, const void);
		n--;
	}
	return n > TB_VALUES ? TB_VALUES : n;
}

static void read_mode(struct tb_mode *m, const struct spa_pod *format, uint32_t subtype)
{
	uint32_t choice = SPA_CHOICE_None;
	const void *first = NULL;
	if (subtype == SPA_MEDIA_SUBTYPE_mjpg) {
		m->n_formats = 1;
		m->formats[0] = TB_MJPEG;
	} else {
		m->n_formats = values(format, SPA_FORMAT_VIDEO_format, SPA_TYPE_Id, &first, &choice);
		memcpy(m->formats, first, m->n_formats * sizeof(uint32_t));
	}
	const struct spa_rectangle *sizes = NULL;
	m->n_sizes = values(format, SPA_FORMAT_VIDEO_size, SPA_TYPE_Rectangle, (const void **)&sizes, &choice);
	for (uint32_t i = 0; i < m->n_sizes; i++) {
		m->widths[i] = sizes[i].width;
		m->heights[i] = sizes[i].height;
	}
	m->size_range = m->n_sizes >= 3 && (choice == SPA_CHOICE_Range || choice == SPA_CHOICE_Step);
	choice = SPA_CHOICE_None;
	const struct spa_fraction *rates = NULL;
	m->n_rates = values(format, SPA_FORMAT_VIDEO_framerate, SPA_TYPE_Fraction, (const void **)&rates, &choice);
	for (uint32_t i = 0; i < m->n_rates; i++) {
		m->nums[i] = rates[i].num;
		m->dens[i] = rates[i].denom;
	}
	m->rate_range = m->n_rates >= 3 && (choice == SPA_CHOICE_Range || choice == SPA_CHOICE_Step);
}

static void add_mode(struct tb_node *n, const struct spa_pod *format)
{
	uint32_t type, subtype;
	if (n->n_modes == TB_MODES || spa_format_parse(format, &type, &subtype) < 0 || type != SPA_MEDIA_TYPE_video ||
	    (subtype != SPA_MEDIA_SUBTYPE_raw && subtype != SPA_MEDIA_SUBTYPE_mjpg))
		return;
	struct tb_mode *m = calloc(1, sizeof(*m));
	struct tb_mode *more = realloc(n->modes, (n->n_modes + 1) * sizeof(*m));
	if (m && more) {
		read_mode(m, format, subtype);
		more[n->n_modes++] = *m;
	}
	if (more)
		n->modes = more;
	free(m);
}

// number reads a value of one of the types that a control can have.
static bool number(const struct spa_pod *value, double *to)
{
	bool yes;
	int32_t i;
	float f;
	if (spa_pod_get_bool(value, &yes) == 0)
		*to = yes;
	else if (spa_pod_get_int(value, &i) == 0)
		*to = i;
	else if (spa_pod_get_float(value, &f) == 0)
		*to = f;
	else
		return false;
	return true;
}

// read_range reads the default of a control and its range.
static bool read_range(struct tb_control *c, const struct spa_pod *type)
{
	uint32_t n, choice;
	const struct spa_pod *v = spa_pod_get_values(type, &n, &choice);
	double all[3];
	if (!v || n == 0 || (v->type != SPA_TYPE_Bool && v->type != SPA_TYPE_Int && v->type != SPA_TYPE_Float))
		return false;
	for (uint32_t i = 0; i < n && i < 3; i++) {
		// A choice has bare values: each is one behind a header of its own.
		struct { struct spa_pod pod; uint64_t body; } one = {{v->size, v->type}, 0};
		memcpy(&one.body, SPA_PTROFF(SPA_POD_BODY_CONST(v), i * v->size, const void), SPA_MIN(v->size, sizeof(one.body)));
		if (!number(&one.pod, &all[i]))
			return false;
	}
	c->type = v->type;
	c->initial = c->min = c->max = all[0];
	if (v->type == SPA_TYPE_Bool)
		c->min = 0, c->max = 1;
	else if (n >= 3 && (choice == SPA_CHOICE_Range || choice == SPA_CHOICE_Step))
		c->min = all[1], c->max = all[2];
	return true;
}

// read_labels reads the texts of a menu: a struct of numbers and strings in turns.
static void read_labels(struct tb_control *c, const struct spa_pod *labels)
{
	struct spa_pod *each;
	int32_t value = 0;
	bool has_value = false;
	if (!spa_pod_is_struct(labels))
		return;
	SPA_POD_STRUCT_FOREACH((const struct spa_pod_struct *)labels, each) {
		const char *text;
		if (spa_pod_get_int(each, &value) == 0) {
			has_value = true;
		} else if (has_value && c->n_labels < TB_LABELS && spa_pod_get_string(each, &text) == 0) {
			c->numbers[c->n_labels] = value;
			snprintf(c->labels[c->n_labels++], sizeof(c->labels[0]), "%s", text);
			has_value = false;
		}
	}
}

static void add_control(struct tb_node *n, const struct spa_pod *info)
{
	struct tb_control c = {0};
	const char *name = NULL;
	const struct spa_pod *type = NULL, *labels = NULL;
	if (n->n_controls == TB_CONTROLS || spa_pod_parse_object(info, SPA_TYPE_OBJECT_PropInfo, NULL,
		SPA_PROP_INFO_id, SPA_POD_Id(&c.id),
		SPA_PROP_INFO_description, SPA_POD_OPT_String(&name),
		SPA_PROP_INFO_type, SPA_POD_Pod(&type),
		SPA_PROP_INFO_labels, SPA_POD_OPT_Pod(&labels)) < 0 ||
	    !name || !read_range(&c, type))
		return;
	snprintf(c.name, sizeof(c.name), "%s", name);
	if (labels)
		read_labels(&c, labels);
	struct tb_control *more = realloc(n->controls, (n->n_controls + 1) * sizeof(c));
	if (!more)
		return;
	more[n->n_controls++] = c;
	n->controls = more;
}

// set_values takes the values of controls from SPA_PARAM_Props.
static void set_values(struct tb_node *n, const struct spa_pod *props)
{
	struct spa_pod_prop *p;
	if (!spa_pod_is_object(props))
		return;
	SPA_POD_OBJECT_FOREACH((const struct spa_pod_object *)props, p) {
		for (uint32_t i = 0; i < n->n_controls; i++)
			if (n->controls[i].id == p->key && number(&p->value, &n->controls[i].value))
				n->controls[i].has_value = true;
	}
}

static void on_param(void *data, int seq, uint32_t id, uint32_t index, uint32_t next, const struct spa_pod *param)
{
	struct description *d = data;
	switch (id) {
	case SPA_PARAM_EnumFormat:
		add_mode(d->node, param);
		break;
	case SPA_PARAM_PropInfo:
		add_control(d->node, param);
		break;
	case SPA_PARAM_Props:
		set_values(d->node, param);
		break;
	}
}

static const struct pw_node_events events = {
	PW_VERSION_NODE_EVENTS,
	.param = on_param,
};

static const struct pw_port_events port_events = {
	PW_VERSION_PORT_EVENTS,
	.param = on_param,
};

// ask_port adds the modes of a port: some nodes have none themselves.
static int ask_port(struct tb_conn *c, uint32_t id, struct description *d, int wait_ms)
{
	struct pw_port *port = pw_registry_bind(c->registry, id, PW_TYPE_INTERFACE_Port, PW_VERSION_PORT, 0);
	if (!port)
		return -ENOMEM;
	spa_zero(d->listener);
	pw_port_add_listener(port, &d->listener, &port_events, d);
	pw_port_enum_params(port, 0, SPA_PARAM_EnumFormat, 0, UINT32_MAX, NULL);
	int res = tb_sync(c, wait_ms);
	spa_hook_remove(&d->listener);
	tb_pw.pw_proxy_destroy_((struct pw_proxy *)port);
	return res;
}

static struct pw_node *bind_node(struct tb_conn *c, uint32_t id)
{
	return pw_registry_bind(c->registry, id, PW_TYPE_INTERFACE_Node, PW_VERSION_NODE, 0);
}

int tb_conn_describe(struct tb_conn *c, struct tb_node *n, int wait_ms)
{
	int res = -ENOENT;
	struct description d = {.node = n};
	tb_lock(c);
	struct pw_node *node = tb_has_node(c, n->id) ? bind_node(c, n->id) : NULL;
	if (node) {
		pw_node_add_listener(node, &d.listener, &events, &d);
		// One after the other: values are for controls that are known.
		static const uint32_t params[] = {SPA_PARAM_EnumFormat, SPA_PARAM_PropInfo, SPA_PARAM_Props};
		for (size_t i = 0; i < SPA_N_ELEMENTS(params); i++)
			pw_node_enum_params(node, 0, params[i], 0, UINT32_MAX, NULL);
		res = tb_sync(c, wait_ms);
		spa_hook_remove(&d.listener);
		tb_pw.pw_proxy_destroy_((struct pw_proxy *)node);
	}
	for (uint32_t i = 0; res >= 0 && n->n_modes == 0 && i < c->n_ports; i++)
		if (c->ports[i].node == n->id)
			res = ask_port(c, c->ports[i].id, &d, wait_ms);
	tb_unlock(c);
	return res;
}

int tb_conn_set_control(struct tb_conn *c, uint32_t id, uint32_t control, uint32_t type, double value, int wait_ms)
{
	uint8_t space[256];
	struct spa_pod_builder b = SPA_POD_BUILDER_INIT(space, sizeof(space));
	struct spa_pod_frame f;
	spa_pod_builder_push_object(&b, &f, SPA_TYPE_OBJECT_Props, SPA_PARAM_Props);
	spa_pod_builder_prop(&b, control, 0);
	if (type == SPA_TYPE_Bool)
		spa_pod_builder_bool(&b, value != 0);
	else if (type == SPA_TYPE_Int)
		spa_pod_builder_int(&b, (int32_t)value);
	else
		spa_pod_builder_float(&b, (float)value);
	const struct spa_pod *props = spa_pod_builder_pop(&b, &f);
	int res = -ENOENT;
	tb_lock(c);
	struct pw_node *node = tb_has_node(c, id) ? bind_node(c, id) : NULL;
	if (node) {
		pw_node_set_param(node, SPA_PARAM_Props, 0, props);
		res = tb_sync(c, wait_ms);
		tb_pw.pw_proxy_destroy_((struct pw_proxy *)node);
	}
	tb_unlock(c);
	return res;
}

void tb_node_free(struct tb_node *n)
{
	free(n->modes);
	free(n->controls);
	n->modes = NULL;
	n->controls = NULL;
	n->n_modes = n->n_controls = 0;
}
