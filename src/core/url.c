#include "core/url.h"

#include <ctype.h>
#include <unistd.h>

#include "core/secret.h"

static const struct {
	const char *scheme, *normal;
	unsigned port;
} schemes[] = {
	{"postgres", "postgres", 5432}, {"postgresql", "postgres", 5432}, {"mysql", "mysql", 3306},
	{"mariadb", "mysql", 3306},     {"mongodb", "mongodb", 27017},    {"mongodb+srv", "mongodb+srv", 0},
	{"redis", "redis", 6379},
};

static bool is_database(const char *scheme)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (!strcmp(schemes[i].normal, scheme))
			return true;
	return false;
}

bool url_looks_like(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return n && isalpha((unsigned char)*text) && !strncmp(text + n, "://", 3);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The decoded text of one part. The error names the part, never its text: it may be the password. */
static enum status decode(const char *s, size_t n, const char *what, char **to, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '%') {
			int high = i + 2 < n ? hex_digit(s[i + 1]) : -1, low = i + 2 < n ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0 || !(high | low)) {
				if (b.data)
					secure_zero(b.data, b.cap);
				error_set(err, ST_CONFIG, "URL: the %s has a '%%' that is not followed by two hex digits", what);
				return error_hint(err, "Write the character itself as %%25.");
			}
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (c < 0x20 || c == 0x7f) {
			return error_set(err, ST_CONFIG, "URL: the %s holds a control character", what);
		}
		buf_putc(&b, (char)c);
	}
	free(*to);
	*to = buf_detach(&b);
	return ST_OK;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static enum status parse_port(const char *s, size_t n, struct url *u, struct error *err)
{
	unsigned port = 0;

	if (!n)
		return ST_OK;
	for (size_t i = 0; i < n; i++) {
		port = isdigit((unsigned char)s[i]) && port < 100000 ? port * 10 + (unsigned)(s[i] - '0') : 100000;
		if (port > 65535)
			break;
	}
	if (!port || port > 65535)
		return error_set(err, ST_CONFIG, "URL: the port is no number between 1 and 65535");
	u->port = port;
	u->port_given = true;
	return ST_OK;
}

static enum status set_host(const char *s, size_t n, struct url *u, struct error *err)
{
	if (!n)
		return ST_OK;
	if (memchr(s, ',', n)) {
		error_set(err, ST_CONFIG, "URL: it names several hosts");
		return error_hint(err,
				  "Name the one server to read; a backup of \"any of them\" would not say whose data it holds.");
	}
	if (decode(s, n, "host", &u->host, err))
		return err->code;
	if (*u->host != '/')
		lower(u->host);
	return ST_OK;
}

static enum status parse_host(const char *s, size_t n, struct url *u, struct error *err)
{
	if (n && *s == '[') {
		const char *end = memchr(s, ']', n);

		if (!end || (end + 1 < s + n && end[1] != ':'))
			return error_set(err, ST_CONFIG, "URL: the address in brackets does not end with ']'");
		if (set_host(s + 1, (size_t)(end - s - 1), u, err))
			return err->code;
		return end + 1 < s + n ? parse_port(end + 2, (size_t)(s + n - end - 2), u, err) : ST_OK;
	}
	const char *colon = memchr(s, ':', n);

	if (set_host(s, colon ? (size_t)(colon - s) : n, u, err))
		return err->code;
	return colon ? parse_port(colon + 1, (size_t)(s + n - colon - 1), u, err) : ST_OK;
}

static void encode(struct buf *b, const char *s, const char *also)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c) || strchr(also, c))
			buf_putc(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static void print_host(const struct url *u, struct buf *b)
{
	bool brackets = u->host && strchr(u->host, ':') && *u->host != '/';

	if (brackets)
		buf_putc(b, '[');
	if (u->host)
		encode(b, u->host, brackets ? ":" : "");
	if (brackets)
		buf_putc(b, ']');
	if (u->port_given)
		buf_printf(b, ":%u", u->port);
}

/* "b:27018,c": the members of a replica set that are asked when the first does not answer. */
static enum status parse_others(const char *s, size_t n, struct url *u, struct error *err)
{
	CLEANUP(buf_release) struct buf all = BUF_INIT;

	for (size_t at = 0; at <= n;) {
		CLEANUP(url_release) struct url one = URL_INIT;
		const char *comma = memchr(s + at, ',', n - at);
		size_t len = comma ? (size_t)(comma - s) - at : n - at;

		if (parse_host(s + at, len, &one, err))
			return err->code;
		if (!one.host)
			return error_set(err, ST_CONFIG, "URL: one of the hosts is empty");
		buf_puts(&all, all.len ? "," : "");
		print_host(&one, &all);
		at += len + 1;
	}
	u->others = buf_detach(&all);
	return ST_OK;
}

static enum status parse_hosts(const char *s, size_t n, struct url *u, struct error *err)
{
	const char *comma = strcmp(u->scheme, "mongodb") ? NULL : memchr(s, ',', n);

	if (!comma)
		return parse_host(s, n, u, err);
	if (parse_host(s, (size_t)(comma - s), u, err))
		return err->code;
	if (!u->host)
		return error_set(err, ST_CONFIG, "URL: one of the hosts is empty");
	return parse_others(comma + 1, (size_t)(s + n - comma - 1), u, err);
}

static enum status parse_authority(const char *s, size_t n, struct url *u, struct error *err)
{
	const char *at = memrchr(s, '@', n);

	if (at) {
		const char *colon = memchr(s, ':', (size_t)(at - s));
		size_t user = colon ? (size_t)(colon - s) : (size_t)(at - s);

		if (user && decode(s, user, "user", &u->user, err))
			return err->code;
		if (colon && at > colon + 1 && decode(colon + 1, (size_t)(at - colon - 1), "password", &u->password, err))
			return err->code;
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	return parse_hosts(s, n, u, err);
}

static void append_param(struct url *u, struct url_param p)
{
	u->param = xrealloc(u->param, (u->params + 1) * sizeof(*u->param));
	u->param[u->params++] = p;
}

static enum status add_param(struct url *u, const char *s, size_t n, struct error *err)
{
	size_t key = min_size(n, strcspn(s, "="));
	struct url_param p = {NULL, NULL};

	if (decode(s, key, "name of an option", &p.key, err))
		return err->code;
	if (decode(s + key + (key < n), n - key - (key < n), "value of an option", &p.value, err)) {
		free(p.key);
		return err->code;
	}
	append_param(u, p);
	return ST_OK;
}

static void drop_param(struct url *u, size_t i)
{
	cstr_release(&u->param[i].key);
	secret_text_release(&u->param[i].value);
	memmove(&u->param[i], &u->param[i + 1], (--u->params - i) * sizeof(*u->param));
}

/* Database URLs may say the host, port, user and password as options; they become the parts. */
static enum status take_params(struct url *u, struct error *err)
{
	for (size_t i = 0; i < u->params;) {
		const char *key = u->param[i].key, *value = u->param[i].value;
		size_t n = strlen(value);
		enum status st = ST_OK;

		if (!strcmp(key, "host")) {
			if (memchr(value, ',', n))
				return error_set(err, ST_CONFIG, "URL: it names several hosts");
			free(u->host);
			u->host = n ? xstrdup(value) : NULL;
			if (n && *value != '/')
				lower(u->host);
		} else if (!strcmp(key, "port")) {
			st = parse_port(value, n, u, err);
		} else if (!strcmp(key, "user")) {
			free(u->user);
			u->user = n ? xstrdup(value) : NULL;
		} else if (!strcmp(key, "password")) {
			secret_text_release(&u->password);
			u->password = n ? xstrdup(value) : NULL;
		} else {
			i++;
			continue;
		}
		if (st)
			return st;
		drop_param(u, i);
	}
	return ST_OK;
}

static void set_scheme(struct url *u, const char *text, size_t n, bool *database)
{
	u->scheme = xstrndup(text, n);
	lower(u->scheme);
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (!strcmp(u->scheme, schemes[i].scheme)) {
			*database = true;
			u->port = schemes[i].port;
			free(u->scheme);
			u->scheme = xstrdup(schemes[i].normal);
		}
}

static enum status parse(const char *text, struct url *u, struct error *err)
{
	bool database = false;

	if (!url_looks_like(text)) {
		error_set(err, ST_CONFIG, "not a URL");
		return error_hint(err, "A URL looks like postgres://user@host:5432/database, mysql://user@host:3306/database or file:///var/backups.");
	}
	set_scheme(u, text, strcspn(text, ":"), &database);
	const char *s = strstr(text, "://") + 3;
	size_t authority = strcspn(s, "/?#"), path;

	if (strchr(s, '#')) {
		error_set(err, ST_CONFIG, "URL: it holds a '#'");
		return error_hint(err, "Write '#' as %%23, also inside the password; '/' is %%2F, '?' is %%3F and '@' is %%40.");
	}
	if (parse_authority(s, authority, u, err))
		return err->code;
	s += authority;
	path = strcspn(s, "?");
	size_t skip = *s == '/' && database;

	if (path > skip && decode(s + skip, path - skip, "path", &u->path, err))
		return err->code;
	s += path;
	while (*s) {
		size_t n = strcspn(++s, "&");

		if (n && add_param(u, s, n, err))
			return err->code;
		s += n;
	}
	return database ? take_params(u, err) : ST_OK;
}

enum status url_parse(const char *text, struct url *u, struct error *err)
{
	*u = (struct url)URL_INIT;
	if (!parse(text, u, err))
		return ST_OK;
	url_release(u);
	return err->code;
}

void url_release(struct url *u)
{
	while (u->params)
		drop_param(u, u->params - 1);
	free(u->param);
	free(u->scheme);
	free(u->user);
	free(u->host);
	free(u->others);
	free(u->path);
	secret_text_release(&u->password);
	*u = (struct url)URL_INIT;
}

void url_param_add(struct url *u, const char *key, const char *value)
{
	append_param(u, (struct url_param){xstrdup(key), xstrdup(value)});
}

const char *url_param(const struct url *u, const char *key)
{
	for (size_t i = 0; i < u->params; i++)
		if (!strcmp(u->param[i].key, key))
			return u->param[i].value;
	return NULL;
}

char *url_print(const struct url *u, bool with_password)
{
	struct buf b = BUF_INIT;
	bool password = with_password && u->password;

	buf_printf(&b, "%s://", u->scheme);
	if (u->user)
		encode(&b, u->user, "");
	if (password) {
		buf_putc(&b, ':');
		encode(&b, u->password, "");
	}
	if (u->user || password)
		buf_putc(&b, '@');
	print_host(u, &b);
	if (u->others)
		buf_printf(&b, ",%s", u->others);
	/* The path of a database URL is the name of the database: its own '/' may come first. */
	if (u->path && (is_database(u->scheme) || *u->path != '/'))
		buf_putc(&b, '/');
	if (u->path)
		encode(&b, u->path, "/");
	for (size_t i = 0; i < u->params; i++) {
		buf_putc(&b, i ? '&' : '?');
		encode(&b, u->param[i].key, "");
		buf_putc(&b, '=');
		encode(&b, u->param[i].value, "/:");
	}
	return buf_detach(&b);
}

static bool is_local(const char *host)
{
	return !host || *host == '/' || !strcmp(host, "localhost") || !strcmp(host, "::1") || !strncmp(host, "127.", 4);
}

char *url_source_name(const struct url *u)
{
	enum { LONGEST = 100 };
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	char self[256] = "";
	const char *host = u->host;

	if (is_local(host))
		host = gethostname(self, sizeof(self) - 1) || !*self ? "localhost" : self;
	buf_printf(&b, "%s-%s-", u->scheme, host);
	if (u->port)
		buf_printf(&b, "%u-", u->port);
	buf_puts(&b, u->path && *u->path ? u->path : "all");
	if (b.len > LONGEST) {
		b.len = LONGEST;
		b.data[LONGEST] = 0;
	}
	for (char *s = b.data; *s; s++)
		*s = isalnum((unsigned char)*s) && (unsigned char)*s < 0x80 ? (char)tolower((unsigned char)*s)
		     : strchr("._-", *s)                                    ? *s
									    : '-';
	return buf_detach(&b);
}

static bool scrub(char *arg)
{
	char *clean;
	bool dirty;

	if (!strstr(arg, "://"))
		return false;
	clean = url_without_secrets(arg);
	dirty = strcmp(clean, arg) != 0;
	if (dirty) {
		size_t n = strlen(arg), m = min_size(n, strlen(clean));

		/* The clean form is never longer. */
		memcpy(arg, clean, m);
		memset(arg + m, 0, n - m);
	}
	free(clean);
	return dirty;
}

bool url_scrub_args(int argc, char **argv)
{
	bool found = false;

	for (int i = 1; i < argc; i++)
		found |= scrub(argv[i]);
	return found;
}
