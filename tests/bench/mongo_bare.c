/* What the benchmark measures drtool by: libmongoc and nothing else.
 *
 * mongo_bare read URL DATABASE                  one find({}) without options a collection, one collection after the other; the documents are counted
 *                                               and forgotten. The server chooses the batches (101 documents, then 16 MiB).
 * mongo_bare read-at-once URL DATABASE          the same with all collections at a time on a connection each.
 * mongo_bare insert URL DATABASE FOLDER         the files FOLDER/COLLECTION.bson, one after the other: four connections take the next 1000
 *                                               documents each in turn for an insertMany. Then the commands of FOLDER/indexes.json, a line each,
 *                                               four at a time. */
#include <dirent.h>
#include <fcntl.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOPS = 4, AT_ONCE = 1000, MOST_ITEMS = 256 };

static const char *url, *database;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "mongo_bare: %s: %s\n", what, why);
	exit(1);
}

static mongoc_client_t *connect_to_server(void)
{
	mongoc_client_t *c = mongoc_client_new(url);

	if (!c)
		die(url, "cannot be read");
	return c;
}

/* ---- read ---- */

static void *read_collection(void *name)
{
	mongoc_client_t *client = connect_to_server();
	mongoc_collection_t *collection = mongoc_client_get_collection(client, database, name);
	bson_t all = BSON_INITIALIZER;
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &all, NULL, NULL);
	uint64_t bytes = 0, documents = 0;
	const bson_t *doc;
	bson_error_t why;

	while (mongoc_cursor_next(cursor, &doc)) {
		bytes += doc->len;
		documents++;
	}
	if (mongoc_cursor_error(cursor, &why))
		die(name, why.message);
	printf("%s: %llu documents, %llu bytes\n", (char *)name, (unsigned long long)documents, (unsigned long long)bytes);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
	return NULL;
}

static void read_all(bool at_once)
{
	mongoc_client_t *client = connect_to_server();
	mongoc_database_t *d = mongoc_client_get_database(client, database);
	pthread_t thread[MOST_ITEMS];
	bson_error_t why;
	size_t n = 0;
	char **names = mongoc_database_get_collection_names_with_opts(d, NULL, &why);

	if (!names)
		die(database, why.message);
	for (; names[n] && n < MOST_ITEMS; n++) {
		if (pthread_create(&thread[n], NULL, read_collection, names[n]))
			die(names[n], "no thread");
		if (!at_once)
			pthread_join(thread[n], NULL);
	}
	for (size_t i = 0; at_once && i < n; i++)
		pthread_join(thread[i], NULL);
	bson_strfreev(names);
	mongoc_database_destroy(d);
	mongoc_client_destroy(client);
}

/* ---- insert ---- */

struct source {
	pthread_mutex_t mutex; /* guards at and line */
	char collection[256];
	const uint8_t *p;
	size_t n, at;
	FILE *commands;
};

/* The next documents, borrowed from the file. */
static size_t next_documents(struct source *s, bson_t *docs)
{
	size_t n = 0;

	pthread_mutex_lock(&s->mutex);
	while (n < AT_ONCE && s->at + 5 <= s->n) {
		uint32_t len;

		memcpy(&len, s->p + s->at, sizeof len);
		if (len > s->n - s->at || !bson_init_static(&docs[n++], s->p + s->at, len))
			die(s->collection, "the file is damaged");
		s->at += len;
	}
	pthread_mutex_unlock(&s->mutex);
	return n;
}

static void *insert_loop(void *source)
{
	struct source *s = source;
	mongoc_client_t *client = connect_to_server();
	mongoc_collection_t *collection = mongoc_client_get_collection(client, database, s->collection);
	bson_t docs[AT_ONCE], opts = BSON_INITIALIZER;
	const bson_t *pointers[AT_ONCE];
	bson_error_t why;
	size_t n;

	BSON_APPEND_BOOL(&opts, "validate", false);
	for (size_t i = 0; i < AT_ONCE; i++)
		pointers[i] = &docs[i];
	while ((n = next_documents(s, docs)))
		if (!mongoc_collection_insert_many(collection, pointers, n, &opts, NULL, &why))
			die(s->collection, why.message);
	bson_destroy(&opts);
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
	return NULL;
}

static void *index_loop(void *source)
{
	struct source *s = source;
	mongoc_client_t *client = connect_to_server();
	char line[65536];
	bson_error_t why;

	for (;;) {
		pthread_mutex_lock(&s->mutex);
		const bool got = fgets(line, sizeof line, s->commands);
		pthread_mutex_unlock(&s->mutex);
		if (!got)
			break;
		bson_t *command = bson_new_from_json((const uint8_t *)line, -1, &why);
		if (!command || !mongoc_client_command_simple(client, database, command, NULL, NULL, &why))
			die("making indexes", why.message);
		bson_destroy(command);
	}
	mongoc_client_destroy(client);
	return NULL;
}

static void four(void *(*loop)(void *), struct source *s)
{
	pthread_t thread[LOOPS];

	for (int i = 0; i < LOOPS; i++)
		if (pthread_create(&thread[i], NULL, loop, s))
			die("insert", "no thread");
	for (int i = 0; i < LOOPS; i++)
		pthread_join(thread[i], NULL);
}

static void insert_file(const char *folder, const char *name, size_t collection_len)
{
	struct source s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	char path[4096];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	(void)snprintf(s.collection, sizeof s.collection, "%.*s", (int)collection_len, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die(path, "cannot be opened");
	s.n = (size_t)st.st_size;
	s.p = mmap(NULL, s.n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (s.p == MAP_FAILED)
		die(path, "cannot be read");
	four(insert_loop, &s);
	close(fd);
}

static void insert_all(const char *folder)
{
	struct source s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	DIR *d = opendir(folder);
	struct dirent *e;
	char path[4096];

	if (!d)
		die(folder, "cannot be opened");
	while ((e = readdir(d))) {
		const size_t n = strlen(e->d_name);

		if (n > 5 && !strcmp(e->d_name + n - 5, ".bson"))
			insert_file(folder, e->d_name, n - 5);
	}
	closedir(d);
	(void)snprintf(path, sizeof path, "%s/indexes.json", folder);
	s.commands = fopen(path, "r");
	if (!s.commands)
		die(path, "cannot be opened");
	four(index_loop, &s);
	(void)fclose(s.commands);
}

int main(int argc, char **argv)
{
	const char *what = argc < 4 ? "" : argv[1];
	const bool at_once = !strcmp(what, "read-at-once"), insert = !strcmp(what, "insert") && argc > 4;

	if (!at_once && !insert && strcmp(what, "read"))
		die("usage", "mongo_bare read|read-at-once URL DATABASE | insert URL DATABASE FOLDER");
	url = argv[2];
	database = argv[3];
	mongoc_init();
	if (insert)
		insert_all(argv[4]);
	else
		read_all(at_once);
	mongoc_cleanup();
	return 0;
}
