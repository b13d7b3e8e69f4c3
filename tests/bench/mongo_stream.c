/* Stands in front of a scripted server of MongoDB's protocol and answers by itself what is many bytes, so that the server is not what limits a
 * benchmark:
 *   - find and getMore on streamed collections, whose documents are those of a file over and over, with _id 0, 1, 2... in 8 bytes;
 *   - aggregate on them: $collStats (size, number) and $sample (of _id);
 *   - insert into any collection: the documents are counted and forgotten.
 * Everything else goes to the scripted server and back as it is.
 *
 * mongo_stream PORT FILE.bson DATABASE.COLLECTION=MB...   prints its own port, and ends with its input. Each document of the file must begin
 * with an int64 _id. One thread a connection. */
#include <arpa/inet.h>
#include <bson/bson.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OP_MSG 2013
#define MOST_MESSAGE (64 << 20)
#define MOST_BATCH (16 << 20)
#define ID_AT 9 /* bytes from the begin of a document: its length, the type, "_id" */
enum { HEAD = 16, MSG_HEAD = HEAD + 5, CURSORS = 4096, MOST_STREAMS = 16, MOST_KEYS = 1 << 20 };

struct stream {
	const char *ns;
	int64_t documents;
};
struct cursor {
	int64_t id, at, end; /* id 0: free */
	const struct stream *of;
};
struct link {
	int client, behind;
	uint8_t *in, *out;
	size_t in_room;
};

static int port_behind;
static uint8_t *pool;           /* of the file */
static size_t *pool_at;         /* where each document begins; one more at the end */
static int64_t pool_documents;
static struct stream streams[MOST_STREAMS];
static int stream_count;
static char (*keys)[12]; /* of arrays: type, number, 0 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cursor cursors[CURSORS];

static void die(const char *what)
{
	fprintf(stderr, "mongo_stream: %s\n", what);
	exit(1);
}

static int32_t get32(const void *p)
{
	int32_t n;

	memcpy(&n, p, sizeof n);
	return n;
}

static void put32(void *p, int32_t n) { memcpy(p, &n, sizeof n); }

/* ---- bytes ---- */

static bool read_all(int fd, void *to, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = recv(fd, (char *)to + done, n - done, 0);

		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t sent = send(fd, (const char *)from + done, n - done, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

/* A whole message into l->in; 0 the end. */
static size_t read_message(struct link *l, int fd)
{
	if (!read_all(fd, l->in, HEAD))
		return 0;
	const int32_t n = get32(l->in);
	if (n < HEAD || n > MOST_MESSAGE)
		return 0;
	if ((size_t)n > l->in_room) {
		l->in_room = (size_t)n;
		l->in = realloc(l->in, l->in_room);
		if (!l->in)
			die("no memory");
	}
	return read_all(fd, l->in + HEAD, (size_t)n - HEAD) ? (size_t)n : 0;
}

/* The body of n bytes lies at out + MSG_HEAD. */
static bool send_reply(struct link *l, int32_t request, size_t n)
{
	put32(l->out, (int32_t)(MSG_HEAD + n));
	put32(l->out + 4, 0);
	put32(l->out + 8, request);
	put32(l->out + 12, OP_MSG);
	memset(l->out + 16, 0, 5);
	return write_all(l->client, l->out, MSG_HEAD + n);
}

static bool send_document(struct link *l, int32_t request, const bson_t *b)
{
	memcpy(l->out + MSG_HEAD, bson_get_data(b), b->len);
	return send_reply(l, request, b->len);
}

/* ---- cursors ---- */

static int64_t number_in(const bson_t *b, const char *key, int64_t otherwise)
{
	bson_iter_t at;

	return bson_iter_init_find(&at, b, key) && BSON_ITER_HOLDS_NUMBER(&at) ? bson_iter_as_int64(&at) : otherwise;
}

static bool document_in(const bson_t *b, const char *key, bson_t *to)
{
	const uint8_t *data;
	bson_iter_t at;
	uint32_t n;

	if (!bson_iter_init_find(&at, b, key))
		return false;
	if (BSON_ITER_HOLDS_ARRAY(&at))
		bson_iter_array(&at, &n, &data);
	else if (BSON_ITER_HOLDS_DOCUMENT(&at))
		bson_iter_document(&at, &n, &data);
	else
		return false;
	return bson_init_static(to, data, n);
}

static void keep_cursor(struct cursor *c)
{
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < CURSORS && !c->id; i++)
		if (!cursors[i].id) {
			c->id = i + 1;
			cursors[i] = *c;
		}
	pthread_mutex_unlock(&mutex);
	if (!c->id)
		die("too many cursors");
}

static struct cursor cursor_of(int64_t id)
{
	struct cursor c = {0};

	pthread_mutex_lock(&mutex);
	if (id > 0 && id <= CURSORS)
		c = cursors[id - 1];
	pthread_mutex_unlock(&mutex);
	return c;
}

static void move_cursor(const struct cursor *c)
{
	pthread_mutex_lock(&mutex);
	cursors[c->id - 1].at = c->at;
	if (c->at == c->end)
		cursors[c->id - 1].id = 0;
	pthread_mutex_unlock(&mutex);
}

/* An array of the next documents; its length. */
static size_t put_batch(uint8_t *to, struct cursor *c, int64_t most)
{
	uint8_t *p = to + 4;

	for (int64_t i = 0; i < most && i < MOST_KEYS && c->at < c->end; i++, c->at++) {
		const int64_t of = c->at % pool_documents;
		const size_t n = pool_at[of + 1] - pool_at[of], key = strlen(keys[i]) + 1;

		if ((size_t)(p - to) + n + key + 1 > MOST_BATCH)
			break;
		memcpy(p, keys[i], key);
		memcpy(p + key, pool + pool_at[of], n);
		memcpy(p + key + ID_AT, &c->at, sizeof c->at);
		p += key + n;
	}
	*p++ = 0;
	put32(to, (int32_t)(p - to));
	return (size_t)(p - to);
}

/* {cursor: {firstBatch: [...], id, ns}, ok: 1} */
static bool send_batch(struct link *l, int32_t request, struct cursor *c, bool first, int64_t most)
{
	uint8_t *const body = l->out + MSG_HEAD, *p = body + 4, *cursor;
	const char *name = first ? "firstBatch" : "nextBatch";
	bson_t tail = BSON_INITIALIZER, ok = BSON_INITIALIZER;

	p = (uint8_t *)mempcpy(p, "\x03" "cursor", 8);
	cursor = p;
	p += 4;
	*p++ = 4;
	p = (uint8_t *)mempcpy(p, name, strlen(name) + 1);
	p += put_batch(p, c, most);
	if (first && c->at < c->end)
		keep_cursor(c);
	else if (!first)
		move_cursor(c);
	BSON_APPEND_INT64(&tail, "id", c->at < c->end ? c->id : 0);
	BSON_APPEND_UTF8(&tail, "ns", c->of->ns);
	BSON_APPEND_DOUBLE(&ok, "ok", 1);
	p = (uint8_t *)mempcpy(p, bson_get_data(&tail) + 4, tail.len - 4);
	put32(cursor, (int32_t)(p - cursor));
	p = (uint8_t *)mempcpy(p, bson_get_data(&ok) + 4, ok.len - 4);
	put32(body, (int32_t)(p - body));
	bson_destroy(&tail);
	bson_destroy(&ok);
	return send_reply(l, request, (size_t)(p - body));
}

/* The filters that drtool makes of ranges: {}, {_id: {$gte, $lt}}, {_id: {$type, $not: {$gte}}}; another is that of all other types. */
static void bounds(const bson_t *command, struct cursor *c)
{
	bson_t filter, id, not;

	if (!document_in(command, "filter", &filter) || bson_empty(&filter))
		return;
	if (!document_in(&filter, "_id", &id)) {
		c->end = 0;
		return;
	}
	c->at = number_in(&id, "$gte", 0);
	c->end = number_in(document_in(&id, "$not", &not) ? &not : &id, document_in(&id, "$not", &not) ? "$gte" : "$lt", c->end);
}

static bool answer_find(struct link *l, int32_t request, const bson_t *command, const struct stream *s)
{
	struct cursor c = {.of = s, .end = s->documents};
	const int64_t limit = number_in(command, "limit", 0);

	bounds(command, &c);
	if (limit > 0 && c.end - c.at > limit)
		c.end = c.at + limit;
	if (c.at > c.end)
		c.at = c.end;
	return send_batch(l, request, &c, true, number_in(command, "batchSize", 101));
}

static bool answer_more(struct link *l, int32_t request, const bson_t *command, struct cursor *c)
{
	const int64_t most = number_in(command, "batchSize", 0);

	return send_batch(l, request, c, false, most > 0 ? most : MOST_KEYS);
}

/* What the planning of a dump asks: 0 it is something else. */
static bool answer_aggregate(struct link *l, int32_t request, const bson_t *command, const struct stream *s)
{
	bson_t reply = BSON_INITIALIZER, pipeline, stage, sample, cursor, batch, one, stats;
	const double mean = (double)pool_at[pool_documents] / (double)pool_documents;
	char key[16];

	BSON_APPEND_DOCUMENT_BEGIN(&reply, "cursor", &cursor);
	BSON_APPEND_INT64(&cursor, "id", 0);
	BSON_APPEND_UTF8(&cursor, "ns", s->ns);
	BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
	if (document_in(command, "pipeline", &pipeline) && document_in(&pipeline, "0", &stage) && document_in(&stage, "$sample", &sample)) {
		const int64_t n = number_in(&sample, "size", 0);

		for (int64_t i = 0; i < n; i++) {
			(void)snprintf(key, sizeof key, "%d", (int)i);
			BSON_APPEND_DOCUMENT_BEGIN(&batch, key, &one);
			BSON_APPEND_INT64(&one, "_id", s->documents / n * i);
			bson_append_document_end(&batch, &one);
		}
	} else {
		BSON_APPEND_DOCUMENT_BEGIN(&batch, "0", &one);
		BSON_APPEND_DOCUMENT_BEGIN(&one, "storageStats", &stats);
		BSON_APPEND_INT64(&stats, "size", (int64_t)((double)s->documents * mean));
		BSON_APPEND_INT64(&stats, "count", s->documents);
		bson_append_document_end(&one, &stats);
		bson_append_document_end(&batch, &one);
	}
	bson_append_array_end(&cursor, &batch);
	bson_append_document_end(&reply, &cursor);
	BSON_APPEND_DOUBLE(&reply, "ok", 1);
	const bool sent = send_document(l, request, &reply);
	bson_destroy(&reply);
	return sent;
}

/* ---- inserts ---- */

/* Documents beside the command, or in it. */
static int32_t count_documents(const uint8_t *message, size_t n, const bson_t *command)
{
	const uint8_t *p = message + MSG_HEAD + command->len, *end = message + n;
	int32_t count = 0;
	bson_t array;

	if (document_in(command, "documents", &array))
		return (int32_t)bson_count_keys(&array);
	if (end - p < 5 || *p != 1 || get32(p + 1) > end - p - 1)
		return 0;
	end = p + 1 + get32(p + 1);
	p += 5;
	for (p += strlen((const char *)p) + 1; p < end; p += get32(p))
		count++;
	return count;
}

static bool answer_insert(struct link *l, int32_t request, size_t n, const bson_t *command)
{
	bson_t reply = BSON_INITIALIZER;

	BSON_APPEND_INT32(&reply, "n", count_documents(l->in, n, command));
	BSON_APPEND_DOUBLE(&reply, "ok", 1);
	const bool sent = send_document(l, request, &reply);
	bson_destroy(&reply);
	return sent;
}

/* ---- connections ---- */

static const struct stream *stream_of(const bson_t *command, const char *collection)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, command, "$db") || !BSON_ITER_HOLDS_UTF8(&at))
		return NULL;
	const char *database = bson_iter_utf8(&at, NULL);
	const size_t n = strlen(database);
	for (int i = 0; i < stream_count; i++)
		if (!strncmp(streams[i].ns, database, n) && streams[i].ns[n] == '.' && !strcmp(streams[i].ns + n + 1, collection))
			return &streams[i];
	return NULL;
}

/* What this program answers by itself; *mine false: nothing was done. */
static bool answer(struct link *l, size_t n, bool *mine)
{
	const int32_t request = get32(l->in + 4);
	struct cursor c;
	bson_iter_t at;
	bson_t command;

	*mine = false;
	if (get32(l->in + 12) != OP_MSG || n < MSG_HEAD + 5 || l->in[MSG_HEAD - 1] || (size_t)get32(l->in + MSG_HEAD) > n - MSG_HEAD ||
	    !bson_init_static(&command, l->in + MSG_HEAD, (size_t)get32(l->in + MSG_HEAD)) || !bson_iter_init(&at, &command) || !bson_iter_next(&at))
		return true;
	const char *name = bson_iter_key(&at);
	const struct stream *s = BSON_ITER_HOLDS_UTF8(&at) ? stream_of(&command, bson_iter_utf8(&at, NULL)) : NULL;

	*mine = true;
	if (!strcmp(name, "insert"))
		return answer_insert(l, request, n, &command);
	if (s && !strcmp(name, "find"))
		return answer_find(l, request, &command, s);
	if (s && !strcmp(name, "aggregate"))
		return answer_aggregate(l, request, &command, s);
	if (!strcmp(name, "getMore") && (c = cursor_of(bson_iter_as_int64(&at))).id)
		return answer_more(l, request, &command, &c);
	*mine = false;
	return true;
}

static int connect_behind(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_behind), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
		die("the scripted server cannot be reached");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void *serve(void *client)
{
	struct link l = {.client = (int)(intptr_t)client, .behind = connect_behind(), .in_room = 1 << 20};
	bool mine;
	size_t n;

	l.in = malloc(l.in_room);
	l.out = malloc(MOST_BATCH + 4096);
	if (!l.in || !l.out)
		die("no memory");
	while ((n = read_message(&l, l.client)) && answer(&l, n, &mine))
		if (!mine && (!write_all(l.behind, l.in, n) || !(n = read_message(&l, l.behind)) || !write_all(l.client, l.in, n)))
			break;
	close(l.client);
	close(l.behind);
	free(l.in);
	free(l.out);
	return NULL;
}

static void *listen_on(void *listener)
{
	int client, on = 1;
	pthread_t thread;

	while ((client = accept((int)(intptr_t)listener, NULL, NULL)) >= 0 || errno == ECONNABORTED || errno == EINTR) {
		(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client))
			die("no thread");
		pthread_detach(thread);
	}
	return NULL;
}

static void read_pool(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0, room = 0, got;

	if (!f)
		die("the file of documents cannot be opened");
	do {
		room += 16 << 20;
		pool = realloc(pool, room);
		if (!pool)
			die("no memory");
		got = fread(pool + n, 1, room - n, f);
		n += got;
	} while (n == room);
	(void)fclose(f);
	for (size_t at = 0; at + 5 <= n; at += (size_t)get32(pool + at)) {
		if ((pool_documents & (pool_documents + 1)) == 0)
			pool_at = realloc(pool_at, (size_t)(pool_documents + 1) * 2 * sizeof *pool_at);
		pool_at[pool_documents++] = at;
		if (get32(pool + at) < ID_AT + 9 || memcmp(pool + at + 4, "\x12_id", 5))
			die("a document of the file does not begin with an int64 _id");
	}
	if (!pool_documents)
		die("the file has no documents");
	pool_at[pool_documents] = n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof own;
	pthread_t thread;
	char c;

	if (argc < 4 || argc - 3 > MOST_STREAMS)
		die("usage: mongo_stream PORT FILE.bson DATABASE.COLLECTION=MB...");
	port_behind = atoi(argv[1]);
	read_pool(argv[2]);
	for (int i = 3; i < argc; i++) {
		char *mb = strchr(argv[i], '=');

		if (!mb)
			die("a collection without =MB");
		*mb++ = 0;
		streams[stream_count++] = (struct stream){argv[i], (int64_t)(atof(mb) * 1e6 / (double)pool_at[pool_documents] * (double)pool_documents)};
	}
	keys = calloc(MOST_KEYS, sizeof *keys);
	if (!keys)
		die("no memory");
	for (int i = 0; i < MOST_KEYS; i++)
		(void)snprintf(keys[i], sizeof *keys, "\x03%d", i);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&own, &size) ||
	    pthread_create(&thread, NULL, listen_on, (void *)(intptr_t)fd))
		die("no port to listen on");
	printf("%d\n", ntohs(own.sin_port));
	(void)fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
