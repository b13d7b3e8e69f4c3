#include "archive/path.h"

#include "archive/tar.h"
#include "util/hash.h"
#include "util/utf8.h"

#define COMPONENT_MAX 180u
#define HASH_SUFFIX 17u /* '~' and 16 hex digits */

static bool is_control(const unsigned char *p, size_t n)
{
	return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

static void put_hash(struct buf *to, struct sha256 h)
{
	buf_putc(to, '~');
	buf_hex(to, h.byte, (HASH_SUFFIX - 1) / 2);
}

/* Encodes name into to; where the result would be longer than max, stops before. Returns false then. */
static bool encode(struct buf *to, const char *name, size_t max)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t start = to->len;

	while (*p) {
		size_t n = utf8_character(p, NULL);
		bool plain = n && !is_control(p, n) && *p != '/' && *p != '%' && *p != '\\' && (*p != '.' || to->len > start);

		n = n ? n : 1;
		if (to->len - start + (plain ? n : 3 * n) > max)
			return false;
		if (plain)
			buf_put(to, p, n);
		else
			for (size_t i = 0; i < n; i++)
				buf_printf(to, "%%%02X", p[i]);
		p += n;
	}
	return true;
}

void path_component(struct buf *to, const char *name)
{
	size_t start = to->len;

	if (*name && encode(to, name, COMPONENT_MAX))
		return;
	to->len = start;
	encode(to, name, COMPONENT_MAX - HASH_SUFFIX);
	put_hash(to, sha256_of(name, strlen(name)));
}

/* Paths given out, as 128-bit hashes of their folded bytes: 16 bytes a path however long it is. Open addressing. */
struct path_set {
	struct hash128 *slot;
	size_t cap, used; /* cap is a power of two */
};

struct path_set *path_set_new(void)
{
	struct path_set *s = xcalloc(1, sizeof *s);

	s->cap = 64;
	s->slot = xcalloc(s->cap, sizeof *s->slot);
	return s;
}

void path_set_freep(struct path_set **s)
{
	if (!*s)
		return;
	free((*s)->slot);
	free(*s);
	*s = NULL;
}

static bool is_empty(struct hash128 h) { return !h.lo && !h.hi; }

/* False: it was there before. */
static bool insert(struct hash128 *slot, size_t cap, struct hash128 h)
{
	size_t i = h.lo & (cap - 1);

	for (; !is_empty(slot[i]); i = (i + 1) & (cap - 1))
		if (hash128_equal(slot[i], h))
			return false;
	slot[i] = h;
	return true;
}

static void grow(struct path_set *s)
{
	struct hash128 *slot = xcalloc(s->cap * 2, sizeof *slot);

	for (size_t i = 0; i < s->cap; i++)
		if (!is_empty(s->slot[i]))
			insert(slot, s->cap * 2, s->slot[i]);
	free(s->slot);
	s->slot = slot;
	s->cap *= 2;
}

static bool take(struct path_set *s, const char *path)
{
	CLEANUP(cstr_release) char *folded = xstrdup(path);

	for (char *c = folded; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	if (!insert(s->slot, s->cap, xxh128(folded, strlen(folded))))
		return false;
	if (++s->used * 2 > s->cap)
		grow(s);
	return true;
}

/* All components but the last, each followed by '/'. */
static void put_folders(struct buf *to, const char *prefix, const char *const *component, size_t n)
{
	if (*prefix) {
		buf_puts(to, prefix);
		buf_putc(to, '/');
	}
	for (size_t i = 0; i + 1 < n; i++) {
		path_component(to, component[i]);
		buf_putc(to, '/');
	}
}

char *path_set_make(struct path_set *s, const char *prefix, const char *const *component, size_t n)
{
	struct buf path = BUF_INIT;

	put_folders(&path, prefix, component, n);
	size_t start = path.len;
	path_component(&path, component[n - 1]);
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	for (size_t i = 0; i < n; i++)
		buf_put(&names, component[i], strlen(component[i]) + 1);
	while (!take(s, path.data)) {
		path.len = start;
		encode(&path, component[n - 1], COMPONENT_MAX - HASH_SUFFIX);
		put_hash(&path, sha256_of(names.data, names.len));
		buf_putc(&names, '~'); /* another hash, should this one be taken, too */
	}
	return buf_detach(&path);
}

bool path_is_safe(const char *path)
{
	size_t n = strnlen(path, TAR_PATH_MAX + 1), start = 0;

	if (!n || n > TAR_PATH_MAX)
		return false;
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = (unsigned char)path[i];

		if (i < n && (c < 0x20 || c == 0x7f || c == '\\'))
			return false;
		if (i < n && c != '/')
			continue;
		if (i == start || (i - start == 1 && path[start] == '.') ||
		    (i - start == 2 && path[start] == '.' && path[start + 1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}
