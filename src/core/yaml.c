#include "core/yaml.h"

#include <yaml.h>

enum { MAX_BYTES = 1024 * 1024, MAX_NODES = 20000, MAX_DEPTH = 16, MAX_TEXT = 64 * 1024 };

struct loader {
	const char *name;
	yaml_document_t *document;
	size_t nodes, bytes; /* made so far, aliases included */
	struct error *err;
};

static void ynode_free(struct ynode *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->pairs; i++) {
		free(n->pair[i].key);
		ynode_free(n->pair[i].value);
	}
	for (size_t i = 0; i < n->items; i++)
		ynode_free(n->item[i]);
	if (n->text)
		secure_zero(n->text, strlen(n->text));
	free(n->text);
	free(n->pair);
	free(n->item);
	free(n);
}

void ynode_freep(struct ynode **n)
{
	ynode_free(*n);
	*n = NULL;
}

static enum status fail_at(const struct loader *l, const yaml_mark_t *m, const char *what)
{
	return error_set(l->err, ST_CONFIG, "%s:%zu:%zu: %s", l->name, m->line + 1, m->column + 1, what);
}

static enum status take_text(struct loader *l, const yaml_node_t *from, char **to)
{
	const char *text = (const char *)from->data.scalar.value;
	size_t n = from->data.scalar.length;

	if (memchr(text, 0, n))
		return fail_at(l, &from->start_mark, "the text holds a zero byte");
	l->bytes += n;
	if (n > MAX_TEXT || l->bytes > MAX_BYTES)
		return fail_at(l, &from->start_mark, "the text is too long");
	*to = xstrndup(text, n);
	return ST_OK;
}

static enum status convert(struct loader *l, int index, unsigned depth, struct ynode **to);

static enum status add_pair(struct loader *l, const yaml_node_pair_t *from, unsigned depth, struct ynode *n)
{
	const yaml_node_t *key = yaml_document_get_node(l->document, from->key);
	struct ynode_pair *p = &n->pair[n->pairs];

	*p = (struct ynode_pair){.line = (unsigned)key->start_mark.line + 1, .column = (unsigned)key->start_mark.column + 1};
	if (key->type != YAML_SCALAR_NODE)
		return fail_at(l, &key->start_mark, "a key must be a plain text");
	if (take_text(l, key, &p->key))
		return l->err->code;
	n->pairs++;
	for (size_t i = 0; i + 1 < n->pairs; i++)
		if (!strcmp(n->pair[i].key, p->key)) {
			fail_at(l, &key->start_mark, "the key");
			char *place = l->err->text;

			l->err->text = xasprintf("%s \"%s\" is here a second time; the first is in line %u", place, p->key,
						 n->pair[i].line);
			free(place);
			return l->err->code;
		}
	return convert(l, from->value, depth + 1, &p->value);
}

static enum status convert_map(struct loader *l, const yaml_node_t *from, unsigned depth, struct ynode *n)
{
	const yaml_node_pair_t *first = from->data.mapping.pairs.start, *end = from->data.mapping.pairs.top;

	n->kind = YNODE_MAP;
	n->pair = xcalloc((size_t)(end - first), sizeof(*n->pair));
	for (const yaml_node_pair_t *p = first; p < end; p++)
		if (add_pair(l, p, depth, n))
			return l->err->code;
	return ST_OK;
}

static enum status convert_list(struct loader *l, const yaml_node_t *from, unsigned depth, struct ynode *n)
{
	const yaml_node_item_t *first = from->data.sequence.items.start, *end = from->data.sequence.items.top;

	n->kind = YNODE_LIST;
	n->item = xcalloc((size_t)(end - first), sizeof(*n->item));
	for (const yaml_node_item_t *i = first; i < end; i++)
		if (convert(l, *i, depth + 1, &n->item[n->items++]))
			return l->err->code;
	return ST_OK;
}

static enum status convert_text(struct loader *l, const yaml_node_t *from, struct ynode *n)
{
	n->kind = YNODE_TEXT;
	if (take_text(l, from, &n->text))
		return l->err->code;
	n->null = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		  (!*n->text || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
	return ST_OK;
}

/* *to is owned by its parent from the moment it is set, so that a failure frees all. */
static enum status convert(struct loader *l, int index, unsigned depth, struct ynode **to)
{
	const yaml_node_t *from = yaml_document_get_node(l->document, index);
	struct ynode *n = xcalloc(1, sizeof(*n));

	*to = n;
	n->line = (unsigned)from->start_mark.line + 1;
	n->column = (unsigned)from->start_mark.column + 1;
	if (depth > MAX_DEPTH)
		return fail_at(l, &from->start_mark, "nested too deeply");
	if (++l->nodes > MAX_NODES)
		return fail_at(l, &from->start_mark, "too many values, aliases counted as often as they are used");
	if (from->type == YAML_MAPPING_NODE)
		return convert_map(l, from, depth, n);
	if (from->type == YAML_SEQUENCE_NODE)
		return convert_list(l, from, depth, n);
	return convert_text(l, from, n);
}

static enum status parser_error(const struct loader *l, const yaml_parser_t *p)
{
	const yaml_mark_t *at = p->problem_mark.line || p->problem_mark.column ? &p->problem_mark : &p->context_mark;

	if (p->error == YAML_READER_ERROR)
		return error_set(l->err, ST_CONFIG, "%s:1:1: byte %zu: %s", l->name, p->problem_offset,
				 p->problem ? p->problem : "not readable");
	return fail_at(l, at, p->problem ? p->problem : "not readable");
}

static enum status load_document(struct loader *l, yaml_parser_t *p, struct ynode **root)
{
	yaml_document_t document, next;

	if (!yaml_parser_load(p, &document))
		return parser_error(l, p);
	l->document = &document;
	enum status st = yaml_document_get_root_node(&document) ? convert(l, 1, 0, root) : ST_OK;

	yaml_document_delete(&document);
	if (st)
		return st;
	if (!yaml_parser_load(p, &next))
		return parser_error(l, p);
	const yaml_node_t *second = yaml_document_get_root_node(&next);

	if (second)
		st = fail_at(l, &second->start_mark, "a second document begins here");
	yaml_document_delete(&next);
	return st;
}

enum status ynode_parse(const char *name, const void *text, size_t len, struct ynode **root, struct error *err)
{
	struct loader l = {.name = name, .err = err};
	yaml_parser_t parser;

	*root = NULL;
	if (len > MAX_BYTES)
		return error_set(err, ST_CONFIG, "%s: larger than 1 MiB", name);
	if (!yaml_parser_initialize(&parser))
		die("out of memory");
	yaml_parser_set_input_string(&parser, text, len);
	enum status st = load_document(&l, &parser, root);

	yaml_parser_delete(&parser);
	if (st)
		ynode_freep(root);
	return st;
}
