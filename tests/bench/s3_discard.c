/* What the benchmark of storages measures drtool by: an S3 server on 127.0.0.1 that costs next to nothing.
 *
 * s3_discard PORT-FILE        writes the port it listens on into the file and ends when its input does.
 *
 * Objects and parts above 1 MiB are thrown away in the kernel; of them only size and checksum are known. Smaller ones are kept in memory, and can be
 * read, listed and deleted. Every key lies in one space, whatever the bucket; no signature is looked at; conditions hold. A part's checksum is the one
 * its header says, and an object whose put has the header x-discard-size has that size and no bytes. GET /.counters answers "requests N in BYTES out BYTES" of all but itself. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 1 << 20, HEAD_MAX = 32 << 10, PARTS_MAX = 10000, PAGE = 1000 };

struct object {
	char *key, *body, *meta; /* body: NULL where it was thrown away; meta: lines of headers */
	size_t size;
	char etag[48], sum[56];
	time_t modified;
};

struct upload {
	struct upload *next;
	char *key, *meta, id[24];
	unsigned parts;
	size_t size[PARTS_MAX];
	unsigned char sum[PARTS_MAX][32];
};

static struct {
	pthread_mutex_t lock;
	struct object **object; /* sorted by key */
	size_t objects, room;
	struct upload *upload;
	unsigned ids;
	unsigned long long requests, in, out;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

/* ---- text that grows ---- */

struct text {
	char *at;
	size_t len, room;
};

static void add_bytes(struct text *t, const void *p, size_t n)
{
	if (t->len + n + 1 > t->room) {
		t->room = (t->len + n + 1) * 2;
		t->at = must(realloc(t->at, t->room));
	}
	memcpy(t->at + t->len, p, n);
	t->len += n;
	t->at[t->len] = '\0';
}

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	char line[4096];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	add_bytes(t, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static void add_xml(struct text *t, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&': add(t, "&amp;"); break;
		case '<': add(t, "&lt;"); break;
		case '>': add(t, "&gt;"); break;
		default: add_bytes(t, s, 1);
		}
}

static void base64(char to[48], const unsigned char sum[32]) { EVP_EncodeBlock((unsigned char *)to, sum, 32); }

static void hex(char *to, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", p[i]);
}

/* ---- requests ---- */

struct request {
	int fd;
	char head[HEAD_MAX + 1];
	size_t have;                    /* bytes in head beyond the request read so far */
	char *line, *method, *path, *query, *key;
	char *body;
	size_t size, known;             /* of the body; known: bytes of it that came with the head */
	struct text answer;
};

/* The value of a header, up to the end of its line. */
static char *header(const struct request *r, const char *name, char *to, size_t room)
{
	size_t n = strlen(name);

	to[0] = '\0';
	for (const char *at = strstr(r->line + strlen(r->line) + 1, "\n"); at; at = strstr(at + 1, "\n")) {
		if (strncasecmp(at + 1, name, n) || at[1 + n] != ':')
			continue;
		const char *v = at + 2 + n;
		v += strspn(v, " ");
		snprintf(to, room, "%.*s", (int)strcspn(v, "\r\n"), v);
		return to;
	}
	return NULL;
}

static void unquote(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned c;
		if (*s == '%' && sscanf(s + 1, "%2x", &c) == 1) {
			*to++ = (char)c;
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* The value of a parameter; NULL: it is not there. Owned by the caller. */
static char *parameter(const struct request *r, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = r->query; at && *at; at += strcspn(at, "&"), at += *at == '&') {
		if (strncmp(at, name, n) || (at[n] && at[n] != '=' && at[n] != '&'))
			continue;
		char *v = must(strndup(at + n + (at[n] == '='), strcspn(at + n, "&") - (at[n] == '=')));
		unquote(v);
		return v;
	}
	return NULL;
}

static bool has_parameter(const struct request *r, const char *name)
{
	char *v = parameter(r, name);

	free(v);
	return v != NULL;
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool answer(struct request *r, int status, const char *headers, const char *body, size_t n)
{
	struct text t = {0};
	bool head = !strcmp(r->method, "HEAD");

	add(&t, "HTTP/1.1 %d %s\r\nServer: s3_discard\r\n%s", status, status < 300 ? "OK" : "No", headers);
	if (!strstr(headers, "Content-Length:"))
		add(&t, "Content-Length: %zu\r\n", n);
	add(&t, "\r\n");
	if (!head && n)
		add_bytes(&t, body, n);
	pthread_mutex_lock(&store.lock);
	store.out += t.len;
	pthread_mutex_unlock(&store.lock);
	bool sent = send_all(r->fd, t.at, t.len);
	free(t.at);
	return sent;
}

static bool refuse(struct request *r, int status, const char *code)
{
	char body[256];
	int n = snprintf(body, sizeof body, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message></Error>", code, code);

	return answer(r, status, "Content-Type: application/xml\r\n", body, (size_t)n);
}

static bool answer_xml(struct request *r, struct text *t)
{
	bool sent = answer(r, 200, "Content-Type: application/xml\r\n", t->at, t->len);

	free(t->at);
	return sent;
}

/* Headers that come back with the object, as lines. */
static char *meta_of(const struct request *r)
{
	struct text t = {0};

	add_bytes(&t, "", 0);
	for (const char *at = r->line + strlen(r->line) + 1; (at = strchr(at, '\n')); at++)
		if (!strncasecmp(at + 1, "x-amz-meta-", 11)) {
			add_bytes(&t, at + 1, strcspn(at + 1, "\r\n"));
			add_bytes(&t, "\r\n", 2);
		}
	return t.at;
}

/* ---- objects; the lock is held ---- */

static size_t place(const char *key)
{
	size_t low = 0, high = store.objects;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(store.object[mid]->key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct object *find(const char *key)
{
	size_t i = place(key);

	return i < store.objects && !strcmp(store.object[i]->key, key) ? store.object[i] : NULL;
}

static void forget(struct object *o)
{
	free(o->key);
	free(o->body);
	free(o->meta);
	free(o);
}

static bool drop(const char *key)
{
	size_t i = place(key);

	if (i >= store.objects || strcmp(store.object[i]->key, key))
		return false;
	forget(store.object[i]);
	memmove(store.object + i, store.object + i + 1, (--store.objects - i) * sizeof *store.object);
	return true;
}

static void keep(struct object *o)
{
	drop(o->key);
	if (store.objects == store.room) {
		store.room = store.room ? store.room * 2 : 1024;
		store.object = must(realloc(store.object, store.room * sizeof *store.object));
	}
	size_t i = place(o->key);
	memmove(store.object + i + 1, store.object + i, (store.objects++ - i) * sizeof *store.object);
	store.object[i] = o;
}

static bool condition_holds(const struct request *r, const char *key)
{
	char match[80], none[80];
	const struct object *o = find(key);

	if (header(r, "if-none-match", none, sizeof none) && o)
		return false;
	return !header(r, "if-match", match, sizeof match) || (o && (!strcmp(match, o->etag) || !strcmp(match, "*")));
}

static bool put_object(struct request *r)
{
	struct object *o = must(calloc(1, sizeof *o));
	unsigned char sum[32] = "";
	char headers[256], claimed[32];
	unsigned n = 0;

	*o = (struct object){.key = must(strdup(r->key)), .body = r->body, .meta = meta_of(r), .size = r->size, .modified = time(NULL)};
	if (!header(r, "x-amz-checksum-sha256", o->sum, sizeof o->sum)) {
		EVP_Digest(o->body ? o->body : "", o->body ? o->size : 0, sum, &n, EVP_sha256(), NULL);
		base64(o->sum, sum);
	}
	EVP_Digest(o->body ? o->body : "", o->body ? o->size : 0, sum, &n, EVP_md5(), NULL);
	o->etag[0] = '"';
	hex(o->etag + 1, sum, 16);
	strcat(o->etag, "\"");
	snprintf(headers, sizeof headers, "ETag: %s\r\nx-amz-checksum-sha256: %s\r\n", o->etag, o->sum);
	if (header(r, "x-discard-size", claimed, sizeof claimed)) {
		o->size = strtoul(claimed, NULL, 10);
		free(o->body);
		o->body = NULL;
	}
	r->body = NULL;
	pthread_mutex_lock(&store.lock);
	bool holds = condition_holds(r, o->key);
	if (holds)
		keep(o);
	pthread_mutex_unlock(&store.lock);
	if (holds)
		return answer(r, 200, headers, NULL, 0);
	forget(o);
	return refuse(r, 412, "PreconditionFailed");
}

static bool get_object(struct request *r)
{
	struct text t = {0};
	char range[80], *bytes = NULL;
	unsigned long long from = 0, to = 0;
	int status = 200;

	pthread_mutex_lock(&store.lock);
	const struct object *o = find(r->key);
	if (o) {
		struct tm when;
		char date[64];
		to = o->size ? o->size - 1 : 0;
		if (header(r, "range", range, sizeof range) && sscanf(range, "bytes=%llu-%llu", &from, &to) >= 1)
			status = from < o->size ? 206 : 416;
		if (to >= o->size)
			to = o->size ? o->size - 1 : 0;
		strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&o->modified, &when));
		add(&t, "ETag: %s\r\nx-amz-checksum-sha256: %s\r\nLast-Modified: %s\r\n%s", o->etag, o->sum, date, o->meta);
		size_t n = o->size && status != 416 ? (size_t)(to - from + 1) : 0;
		if (status == 206)
			add(&t, "Content-Range: bytes %llu-%llu/%zu\r\n", from, to, o->size);
		add(&t, "Content-Length: %zu\r\n", n);
		bytes = must(calloc(1, n + 1));
		if (o->body)
			memcpy(bytes, o->body + from, n);
		to = n;
	}
	pthread_mutex_unlock(&store.lock);
	if (!bytes)
		return refuse(r, 404, "NoSuchKey");
	bool sent = status == 416 ? refuse(r, 416, "InvalidRange") : answer(r, status, t.at, bytes, (size_t)to);
	free(bytes);
	free(t.at);
	return sent;
}

static bool delete_object(struct request *r)
{
	pthread_mutex_lock(&store.lock);
	bool holds = condition_holds(r, r->key);
	if (holds)
		drop(r->key);
	pthread_mutex_unlock(&store.lock);
	return holds ? answer(r, 204, "", NULL, 0) : refuse(r, 412, "PreconditionFailed");
}

/* Keys are not unescaped: those of drtool need no escape but in names of sources. */
static bool delete_batch(struct request *r)
{
	struct text t = {0};

	add(&t, "<?xml version=\"1.0\"?><DeleteResult>");
	for (char *at = r->body; at && (at = strstr(at, "<Key>")); at++) {
		char *key = must(strndup(at + 5, strcspn(at + 5, "<")));
		pthread_mutex_lock(&store.lock);
		drop(key);
		pthread_mutex_unlock(&store.lock);
		free(key);
	}
	add(&t, "</DeleteResult>");
	return answer_xml(r, &t);
}

static void list_object(struct text *t, const struct object *o, const char *tag)
{
	struct tm when;
	char date[64];

	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&o->modified, &when));
	add(t, "<%s><Key>", tag);
	add_xml(t, o->key);
	add(t, "</Key><LastModified>%s</LastModified><ETag>&quot;%.*s&quot;</ETag><Size>%zu</Size>", date, (int)strlen(o->etag) - 2, o->etag + 1, o->size);
	add(t, "<StorageClass>STANDARD</StorageClass></%s>", tag);
}

static bool list_objects(struct request *r)
{
	char *prefix = parameter(r, "prefix"), *after = parameter(r, "continuation-token"), *max = parameter(r, "max-keys");
	struct text t = {0};
	size_t n = 0, most = max ? strtoul(max, NULL, 10) : PAGE, length = prefix ? strlen(prefix) : 0;
	const char *last = NULL;

	if (!after)
		after = parameter(r, "start-after");
	most = most > PAGE ? PAGE : most;
	add(&t, "<?xml version=\"1.0\"?><ListBucketResult>");
	pthread_mutex_lock(&store.lock);
	size_t i = place(after && (!prefix || strcmp(after, prefix) > 0) ? after : prefix ? prefix : "");
	for (; i < store.objects && n < most && !strncmp(store.object[i]->key, prefix ? prefix : "", length); i++) {
		if (after && strcmp(store.object[i]->key, after) <= 0)
			continue;
		list_object(&t, store.object[i], "Contents");
		last = store.object[i]->key;
		n++;
	}
	bool more = i < store.objects && last && !strncmp(store.object[i]->key, prefix ? prefix : "", length);
	add(&t, "<KeyCount>%zu</KeyCount><IsTruncated>%s</IsTruncated>", n, more ? "true" : "false");
	if (more) {
		add(&t, "<NextContinuationToken>");
		add_xml(&t, last);
		add(&t, "</NextContinuationToken>");
	}
	pthread_mutex_unlock(&store.lock);
	add(&t, "</ListBucketResult>");
	free(prefix);
	free(after);
	free(max);
	return answer_xml(r, &t);
}

/* ---- uploads in parts ---- */

static struct upload *upload_of(const struct request *r)
{
	char *id = parameter(r, "uploadId");
	struct upload *u = store.upload;

	while (u && (!id || strcmp(u->id, id)))
		u = u->next;
	free(id);
	return u;
}

static void forget_upload(struct upload *gone)
{
	struct upload **at = &store.upload;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone->key);
	free(gone->meta);
	free(gone);
}

static bool begin_upload(struct request *r)
{
	struct upload *u = must(calloc(1, sizeof *u));
	struct text t = {0};

	u->key = must(strdup(r->key));
	u->meta = meta_of(r);
	pthread_mutex_lock(&store.lock);
	snprintf(u->id, sizeof u->id, "upload-%u", ++store.ids);
	u->next = store.upload;
	store.upload = u;
	add(&t, "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", u->id);
	pthread_mutex_unlock(&store.lock);
	return answer_xml(r, &t);
}

static bool put_part(struct request *r)
{
	char *part = parameter(r, "partNumber"), sum[80] = "", headers[256];
	unsigned long n = strtoul(part, NULL, 10);
	unsigned char raw[64] = "";

	free(part);
	header(r, "x-amz-checksum-sha256", sum, sizeof sum);
	if (strlen(sum) == 44)
		EVP_DecodeBlock(raw, (unsigned char *)sum, 44);
	pthread_mutex_lock(&store.lock);
	struct upload *u = upload_of(r);
	if (u && n >= 1 && n <= PARTS_MAX) {
		u->size[n - 1] = r->size;
		memcpy(u->sum[n - 1], raw, 32);
		u->parts = u->parts < n ? (unsigned)n : u->parts;
	}
	pthread_mutex_unlock(&store.lock);
	if (!u)
		return refuse(r, 404, "NoSuchUpload");
	char etag[33];
	hex(etag, raw, 16);
	snprintf(headers, sizeof headers, "ETag: \"%s\"\r\nx-amz-checksum-sha256: %s\r\n", etag, sum);
	return answer(r, 200, headers, NULL, 0);
}

static bool complete_upload(struct request *r)
{
	struct object *o = must(calloc(1, sizeof *o));
	struct text t = {0};
	unsigned char sum[32];
	unsigned n;

	*o = (struct object){.key = must(strdup(r->key)), .modified = time(NULL)};
	pthread_mutex_lock(&store.lock);
	struct upload *u = upload_of(r);
	bool holds = u && condition_holds(r, r->key);
	if (holds) {
		for (unsigned i = 0; i < u->parts; i++)
			o->size += u->size[i];
		EVP_Digest(u->sum, 32ul * u->parts, sum, &n, EVP_sha256(), NULL);
		base64(o->sum, sum);
		n = (unsigned)strlen(o->sum);
		snprintf(o->sum + n, sizeof o->sum - n, "-%u", u->parts % 1000);
		o->etag[0] = '"';
		hex(o->etag + 1, sum, 16);
		snprintf(o->etag + 33, sizeof o->etag - 33, "-%u\"", u->parts);
		o->meta = u->meta;
		u->meta = NULL;
		add(&t, "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>&quot;%.*s&quot;</ETag><ChecksumSHA256>%.44s-%u</ChecksumSHA256>"
			"<ChecksumType>COMPOSITE</ChecksumType></CompleteMultipartUploadResult>", (int)strlen(o->etag) - 2, o->etag + 1, o->sum, u->parts);
		forget_upload(u);
		keep(o);
	}
	pthread_mutex_unlock(&store.lock);
	if (holds)
		return answer_xml(r, &t);
	forget(o);
	return u ? refuse(r, 412, "PreconditionFailed") : refuse(r, 404, "NoSuchUpload");
}

static bool abort_upload(struct request *r)
{
	pthread_mutex_lock(&store.lock);
	struct upload *u = upload_of(r);
	if (u)
		forget_upload(u);
	pthread_mutex_unlock(&store.lock);
	return u ? answer(r, 204, "", NULL, 0) : refuse(r, 404, "NoSuchUpload");
}

static bool answer_empty(struct request *r, const char *root)
{
	struct text t = {0};

	add(&t, "<?xml version=\"1.0\"?><%s><IsTruncated>false</IsTruncated></%s>", root, root);
	return answer_xml(r, &t);
}

/* ---- connections ---- */

static bool counters(struct request *r)
{
	char text[128];

	pthread_mutex_lock(&store.lock);
	int n = snprintf(text, sizeof text, "requests %llu in %llu out %llu\n", --store.requests, store.in, store.out);
	pthread_mutex_unlock(&store.lock);
	return answer(r, 200, "", text, (size_t)n);
}

static bool of_bucket(struct request *r)
{
	if (!strcmp(r->method, "POST"))
		return delete_batch(r);
	if (strcmp(r->method, "GET"))
		return answer(r, 200, "", NULL, 0);
	if (has_parameter(r, "uploads"))
		return answer_empty(r, "ListMultipartUploadsResult");
	if (has_parameter(r, "versioning"))
		return answer_empty(r, "VersioningConfiguration");
	if (has_parameter(r, "object-lock"))
		return refuse(r, 404, "ObjectLockConfigurationNotFoundError");
	return list_objects(r);
}

static bool act(struct request *r)
{
	const char *m = r->method;

	if (!strcmp(r->path, "/.counters"))
		return counters(r);
	if (!*r->key)
		return of_bucket(r);
	if (!strcmp(m, "GET") || !strcmp(m, "HEAD"))
		return get_object(r);
	if (!strcmp(m, "PUT"))
		return has_parameter(r, "uploadId") ? put_part(r) : put_object(r);
	if (!strcmp(m, "POST"))
		return has_parameter(r, "uploads") ? begin_upload(r) : complete_upload(r);
	if (!strcmp(m, "DELETE"))
		return has_parameter(r, "uploadId") ? abort_upload(r) : delete_object(r);
	return refuse(r, 405, "MethodNotAllowed");
}

/* Reads until the head is whole; r->have is then what follows it, at the place that is returned. NULL: the connection has ended. */
static char *read_head(struct request *r)
{
	for (;;) {
		r->head[r->have] = '\0';
		char *end = strstr(r->head, "\r\n\r\n");
		if (end)
			return end + 4;
		ssize_t n = r->have < HEAD_MAX ? recv(r->fd, r->head + r->have, HEAD_MAX - r->have, 0) : 0;
		if (n <= 0)
			return NULL;
		r->have += (size_t)n;
	}
}

static bool read_body(struct request *r, const char *first)
{
	char value[64];

	r->size = header(r, "content-length", value, sizeof value) ? strtoul(value, NULL, 10) : 0;
	if (header(r, "expect", value, sizeof value) && !send_all(r->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
		return false;
	size_t have = r->known < r->size ? r->known : r->size;
	r->body = r->size <= KEPT ? must(calloc(1, r->size + 1)) : NULL;
	if (r->body)
		memcpy(r->body, first, have);
	r->known = have;
	while (have < r->size) {
		size_t want = r->size - have;
		/* TCP forgets the bytes without a copy. */
		ssize_t n = r->body ? recv(r->fd, r->body + have, want, 0) : recv(r->fd, NULL, want > 4 << 20 ? 4 << 20 : want, MSG_TRUNC);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static bool serve_one(struct request *r)
{
	char *rest = read_head(r);

	if (!rest)
		return false;
	rest[-4] = '\0';
	r->line = r->head;
	r->known = r->have - (size_t)(rest - r->head);
	char *end = strpbrk(r->head, "\r");
	if (end)
		*end = '\0';
	else
		end = rest - 4;
	rest[-3] = '\0';
	r->method = r->head;
	r->path = strchr(r->head, ' ');
	if (!r->path)
		return false;
	*r->path++ = '\0';
	r->path[strcspn(r->path, " ")] = '\0';
	r->line = end; /* where the headers begin: after a NUL */
	r->query = strchr(r->path, '?');
	if (r->query)
		*r->query++ = '\0';
	r->key = strchr(r->path + 1, '/');
	r->key = r->key ? r->key + 1 : r->path + strlen(r->path);
	unquote(r->key);
	if (!read_body(r, rest))
		return false;
	pthread_mutex_lock(&store.lock);
	store.requests++;
	store.in += r->size;
	pthread_mutex_unlock(&store.lock);
	bool go_on = act(r);
	free(r->body);
	r->body = NULL;
	r->have -= (size_t)(rest - r->head) + r->known;
	memmove(r->head, rest + r->known, r->have);
	return go_on;
}

static void *serve(void *arg)
{
	struct request *r = arg;

	while (serve_one(r))
		;
	free(r->body);
	close(r->fd);
	free(r);
	return NULL;
}

static void *listen_forever(void *arg)
{
	int fd = *(int *)arg, one = 1;

	for (;;) {
		struct request *r = must(calloc(1, sizeof *r));
		pthread_t thread;
		r->fd = accept(fd, NULL, NULL);
		if (r->fd < 0)
			die("accept");
		setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (pthread_create(&thread, NULL, serve, r))
			die("thread");
		pthread_detach(thread);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;
	char c;

	if (argc != 2) {
		fprintf(stderr, "usage: s3_discard PORT-FILE\n");
		return 2;
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&at, &n))
		die("listen");
	char *made = must(malloc(strlen(argv[1]) + 5));
	sprintf(made, "%s.new", argv[1]);
	FILE *f = fopen(made, "w");
	if (!f || fprintf(f, "%u\n", ntohs(at.sin_port)) < 0 || fclose(f) || rename(made, argv[1]))
		die(argv[1]);
	free(made);
	if (pthread_create(&thread, NULL, listen_forever, &fd))
		die("thread");
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
