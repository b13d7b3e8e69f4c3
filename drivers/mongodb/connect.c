#include "drivers/mongodb/conn_internal.h"

#include "drivers/mongodb/look.h"

#define END_WITHIN DURATION_SECONDS(2)
#define AGAIN DURATION_MS(500)

/* ---- what the server says of itself ---- */

static int32_t number_of(const bson_t *doc, const char *key, int32_t otherwise)
{
	int64_t n = mo_look_num(doc, key, otherwise);

	return n < 0 || n > INT32_MAX ? otherwise : (int32_t)n;
}

static void take_hello(const bson_t *hello, struct mo_server *s)
{
	const char *set = mo_look_str(hello, "setName"), *msg = mo_look_str(hello, "msg");
	bson_iter_t at;

	s->wire = number_of(hello, "maxWireVersion", 0);
	s->max_document = number_of(hello, "maxBsonObjectSize", 16 << 20);
	s->max_message = number_of(hello, "maxMessageSizeBytes", 48000000);
	s->max_batch = number_of(hello, "maxWriteBatchSize", 1000);
	s->primary = mo_look_true(hello, "isWritablePrimary") || mo_look_true(hello, "ismaster");
	s->secondary = mo_look_true(hello, "secondary");
	s->mongos = msg && !strcmp(msg, "isdbgrid");
	s->set_name = set ? xstrdup(set) : NULL;
	s->sessions = mo_look_num(hello, "logicalSessionTimeoutMinutes", 0) > 0;
	s->has_majority = mo_look_timestamp(hello, "lastWrite.majorityOpTime.ts", &s->majority_t, &s->majority_i);
	if (mo_look(hello, "lastWrite.majorityWriteDate", &at) && BSON_ITER_HOLDS_DATE_TIME(&at))
		s->data_time.us = bson_iter_date_time(&at) * 1000;
}

static int version_number(const char *text)
{
	int part[3] = {0};
	char *end = NULL;

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		long n = strtol(text, &end, 10);

		part[i] = n < 0 || n > 9999 ? 0 : (int)n;
		if (*end != '.')
			break;
		text = end + 1;
	}
	return part[0] * 10000 + part[1] * 100 + part[2];
}

static void take_build(const bson_t *build, struct mo_server *s)
{
	const char *version = mo_look_str(build, "version");

	s->version_text = xstrdup(version ? version : "unknown");
	s->version = version_number(s->version_text);
	s->product = xstrdup(bson_has_field(build, "ferretdb") || bson_has_field(build, "ferretdbVersion") ? "FerretDB"
			     : bson_has_field(build, "psmdbVersion")				        ? MO_PERCONA
													: "MongoDB");
}

static enum status ask(struct run *run, struct mo_conn *c, const char *name, bson_t *reply, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t what = BSON_INITIALIZER;

	BSON_APPEND_INT32(&what, name, 1);
	return mo_conn_command(run, c, "admin", &what, reply, err);
}

static enum status ask_hello(struct run *run, struct mo_conn *c, struct error *err)
{
	bson_t hello;

	ask(run, c, "hello", &hello, err);
	/* Servers before 4.4.2. */
	if (err->code && mo_conn_code(err) == MO_COMMAND_NOT_FOUND) {
		bson_destroy(&hello);
		error_release(err);
		ask(run, c, "isMaster", &hello, err);
	}
	if (!err->code)
		take_hello(&hello, &c->server);
	bson_destroy(&hello);
	return err->code;
}

static enum status ask_build(struct run *run, struct mo_conn *c, struct error *err)
{
	bson_t build;

	if (!ask(run, c, "buildInfo", &build, err))
		take_build(&build, &c->server);
	bson_destroy(&build);
	return err->code;
}

/* ---- opening ---- */

/* Looks at which members have answered, and writes "db1:27017 (RSSecondary), db2:27017 (Unknown)". */
static void look_around(struct mo_conn *c, struct buf *members)
{
	size_t n = 0;
	mongoc_server_description_t **all = mongoc_client_get_server_descriptions(c->client, &n);

	c->cancel->known = false;
	for (size_t i = 0; i < n; i++) {
		const char *type = mongoc_server_description_type(all[i]);

		c->cancel->known = c->cancel->known || strcmp(type, "Unknown") != 0;
		buf_printf(members, "%s%s (%s)", i ? ", " : "", mongoc_server_description_host(all[i])->host_and_port, type);
	}
	mongoc_server_descriptions_destroy_all(all, n);
}

/* Where a member has answered, one that will do may come: an election takes some seconds. */
static mongoc_server_description_t *choose(struct run *run, struct mo_conn *c, enum mo_whom whom, struct buf *members, bson_error_t *why)
{
	struct mo_links *links = &c->cancel->links;

	for (;;) {
		mongoc_server_description_t *sd = mongoc_client_select_server(c->client, whom == MO_WRITE, c->cancel->prefs, why);

		if (sd)
			return sd;
		buf_clear(members);
		look_around(c, members);
		if (links->why.code || !c->cancel->known || run_sleep(run, AGAIN, &links->why))
			return NULL;
		error_release(&links->trouble);
	}
}

static enum status none_chosen(struct mo_conn *c, enum mo_whom whom, const char *members, const bson_error_t *why, struct error *err)
{
	struct mo_links *links = &c->cancel->links;

	/* The time for connecting was used up by waiting for one that will do. */
	if (links->why.code != ST_DEADLINE || !c->cancel->known)
		return mo_call_failed(c, why, NULL, err);
	error_release(&links->why);
	error_set(err, ST_UNREACHABLE, "none of the servers is %s: %s",
		  whom == MO_WRITE || !c->cancel->prefs ? "a primary" : "one that readPreference allows", members);
	err->retry = true;
	return error_hint(err, MO_MEMBERS_HINT);
}

static enum status select_server(struct run *run, struct mo_conn *c, enum mo_whom whom, struct error *err)
{
	CLEANUP(mo_call_end) struct mo_conn *busy = NULL;
	CLEANUP(buf_release) struct buf members = BUF_INIT;
	bson_error_t why = {0};

	mo_call_begin(&busy, c, run);
	mongoc_server_description_t *sd = choose(run, c, whom, &members, &why);

	if (!sd)
		return none_chosen(c, whom, buf_str(&members), &why, err);
	const mongoc_host_list_t *host = mongoc_server_description_host(sd);

	c->server_id = mongoc_server_description_id(sd);
	free(c->server.where);
	c->server.where = xstrdup(*host->host == '/' ? host->host : host->host_and_port);
	mongoc_server_description_destroy(sd);
	BSON_APPEND_INT32(&c->cancel->opts, "serverId", (int32_t)c->server_id);
	return ST_OK;
}

static enum status start_session(struct run *run, struct mo_conn *c, struct error *err)
{
	CLEANUP(mo_call_end) struct mo_conn *busy = NULL;
	mongoc_session_opt_t *plain = mongoc_session_opts_new();
	bson_error_t why = {0};

	mongoc_session_opts_set_causal_consistency(plain, false);
	mo_call_begin(&busy, c, run);
	c->cancel->session = mongoc_client_start_session(c->client, plain, &why);
	mongoc_session_opts_destroy(plain);
	if (!c->cancel->session || !mongoc_client_session_append(c->cancel->session, &c->cancel->opts, &why))
		return mo_call_failed(c, &why, NULL, err);
	return ST_OK;
}

/* Where the URL names no user, libmongoc takes the certificate's subject for it. */
static void log_in_by_certificate(struct mo_conn *c)
{
	const char *mechanism = mongoc_uri_get_auth_mechanism(c->cancel->url.uri);
	mongoc_ssl_opt_t o = {.pem_file = c->cancel->url.cert};

	if (mechanism && !strcasecmp(mechanism, "MONGODB-X509"))
		mongoc_client_set_ssl_opts(c->client, &o);
}

static enum status make_client(struct mo_conn *c, enum mo_whom whom, struct error *err)
{
	const struct mo_url *u = &c->cancel->url;
	const mongoc_read_prefs_t *prefs = mongoc_uri_get_read_prefs_t(u->uri);
	bson_error_t why = {0};

	c->client = mongoc_client_new_from_uri_with_error(u->uri, &why);
	if (!c->client) {
		error_set(err, ST_UNREACHABLE, "%s: %s", c->server.where, *why.message ? why.message : "libmongoc makes no client for the URL");
		return error_hint(err, "Check the name of the host in the URL.");
	}
	mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
	log_in_by_certificate(c);
	mongoc_client_set_stream_initiator(c->client, mo_link_open, &c->cancel->links);
	if (whom == MO_READ && mongoc_read_prefs_get_mode(prefs) != MONGOC_READ_PRIMARY)
		c->cancel->prefs = mongoc_read_prefs_copy(prefs);
	return ST_OK;
}

/* The hosts as the URL has them, until one is chosen. */
static char *where_of(const struct mo_url *u)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const mongoc_host_list_t *h = mongoc_uri_get_hosts(u->uri);

	if (!h)
		return xstrdup(mongoc_uri_get_srv_hostname(u->uri) ? mongoc_uri_get_srv_hostname(u->uri) : "");
	for (; h; h = h->next)
		buf_printf(&b, "%s%s", b.len ? ", " : "", *h->host == '/' ? h->host : h->host_and_port);
	return buf_detach(&b);
}

/* as: NULL, or the session that this one is like. */
static enum status open_with(struct run *run, struct mo_conn *c, enum mo_whom whom, const struct mo_conn *as, struct error *err)
{
	if (make_client(c, whom, err) || select_server(run, c, whom, err) || ask_hello(run, c, err) || ask_build(run, c, err))
		return err->code;
	if (c->server.sessions && start_session(run, c, err))
		return err->code;
	if (c->cancel->session && as && as->cancel->time)
		mongoc_client_session_advance_cluster_time(c->cancel->session, as->cancel->time);
	c->cancel->links.complete = true;
	return ST_OK;
}

/* The time limit of a connection is none of the caller's run. */
static enum status say_late(struct run *run, const struct mo_conn *c, struct error *err)
{
	CLEANUP(error_release) struct error own = ERROR_INIT;

	if (err->code != ST_DEADLINE || run_check(run, &own))
		return err->code;
	error_set(err, ST_UNREACHABLE, "%s at %s: no connection within %" PRId64 " s", mo_product(c), c->server.where,
		  (c->cancel->url.timeout.us + 999999) / 1000000);
	err->retry = true;
	return error_hint(err, "Check host and port, and what lies between; connect_timeout is the limit.");
}

static struct mo_conn *new_conn(const struct endpoint *e, struct mo_url *u)
{
	struct mo_conn *c = xcalloc(1, sizeof *c);
	struct mo_conn_cancel *in = c->cancel = xcalloc(1, sizeof *in);

	c->e = e;
	in->url = *u;
	*u = (struct mo_url)MO_URL_INIT;
	in->tls = (struct mo_tls){.mode = in->url.tls, .ca = in->url.ca, .cert = in->url.cert};
	mo_links_init(&in->links, &in->tls);
	in->links.each = in->url.each;
	bson_init(&in->opts);
	c->server.where = where_of(&in->url);
	return c;
}

static enum status open_like(struct run *run, const struct endpoint *e, enum mo_whom whom, const struct mo_conn *as, struct mo_conn **to, struct error *err)
{
	CLEANUP(mo_url_release) struct mo_url u = MO_URL_INIT;
	CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;

	*to = NULL;
	if (mo_url_read(e, as ? as->server.where : NULL, &u, err))
		return err->code;
	if (as)
		mo_url_as_found(&u, mongoc_client_get_uri(as->client));
	if (mo_url_login(run, e, &u, err))
		return err->code;
	c = new_conn(e, &u);
	struct run bounded = run_within(run, c->cancel->url.timeout);
	if (open_with(&bounded, c, whom, as, err))
		return say_late(run, c, err);
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status mo_conn_open(struct run *run, const struct endpoint *e, enum mo_whom whom, struct mo_conn **c, struct error *err)
{
	return open_like(run, e, whom, NULL, c, err);
}

enum status mo_conn_open_same(struct run *run, const struct mo_conn *as, struct mo_conn **c, struct error *err)
{
	return open_like(run, as->e, as->cancel->prefs ? MO_READ : MO_WRITE, as, c, err);
}

void mo_conn_share_time(struct mo_conn *c)
{
	const bson_t *time = c->cancel->session ? mongoc_client_session_get_cluster_time(c->cancel->session) : NULL;

	if (c->cancel->time)
		bson_destroy(c->cancel->time);
	c->cancel->time = time ? bson_copy(time) : NULL;
}

void mo_conn_end_there(struct mo_conn *c)
{
	static _Thread_local bool ending;
	CLEANUP(mo_conn_freep) struct mo_conn *other = NULL;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(mo_doc_release) bson_t what = BSON_INITIALIZER;
	struct run none = RUN_INIT, soon = run_within(&none, END_WITHIN);
	bson_t list;

	if (ending || c->cancel->ended_there || !c->cancel->session || !c->cancel->links.complete)
		return;
	ending = c->cancel->ended_there = true;
	BSON_APPEND_ARRAY_BEGIN(&what, "killSessions", &list);
	BSON_APPEND_DOCUMENT(&list, "0", mongoc_client_session_get_lsid(c->cancel->session));
	bson_append_array_end(&what, &list);
	if (!mo_conn_open_same(&soon, c, &other, &ignored))
		(void)!mo_conn_command(&soon, other, "admin", &what, NULL, &ignored);
	ending = false;
}
