/* A small YAML tree: maps with text keys, lists, texts, each with the place where it stands. Private to core. */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include "util/error.h"

enum ynode_kind { YNODE_TEXT, YNODE_LIST, YNODE_MAP };
struct ynode {
	enum ynode_kind kind;
	unsigned line, column; /* from 1 */
	char *text;            /* TEXT */
	bool null;             /* TEXT: nothing, ~ or null without quotes */
	struct ynode_pair {
		char *key;
		unsigned line, column;
		struct ynode *value;
	} *pair;
	size_t pairs;
	struct ynode **item;
	size_t items;
};

/* One document. Aliases become copies; sizes, depth and the number of nodes after that are bounded, duplicate keys are refused.
 * Errors are ST_CONFIG and begin with "<name>:<line>:<column>: ". *root is NULL where the document is empty. */
enum status ynode_parse(const char *name, const void *text, size_t len, struct ynode **root, struct error *err) MUST_CHECK;
void ynode_freep(struct ynode **n);

#endif
