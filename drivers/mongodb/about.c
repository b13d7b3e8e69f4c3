#include "drivers/mongodb/about.h"

#include "drivers/mongodb/list.h"
#include "drivers/mongodb/look.h"
#include "util/hash.h"

#define OID_HEX 25

void mo_about_release(struct mo_about *a)
{
	free(a->identity);
	free(a->weak);
	free(a->version);
	free(a->member);
	free(a->primary);
	*a = (struct mo_about)MO_ABOUT_INIT;
}

char *mo_about_weakness(const struct mo_about *a)
{
	if (!a->weak)
		return NULL;
	return xasprintf("%s: the server is known again only as %s; `cluster: NAME` in the configuration of the source gives it a name of its own",
			 a->weak, a->identity);
}

/* ---- who it is ---- */

/* A way to an identity: not found, refused or unknown to the server is no failure. */
static enum status passed(struct error *refused, char **why, struct error *err)
{
	if (!refused->code)
		return ST_OK;
	if (mo_conn_lost(refused) || !mo_conn_code(refused))
		return error_move(err, refused);
	if (!*why)
		*why = xstrdup(error_text(refused));
	error_release(refused);
	return ST_OK;
}

static char *oid_of(const bson_t *b, const char *path)
{
	bson_iter_t at;
	char text[OID_HEX];

	if (!mo_look(b, path, &at) || !BSON_ITER_HOLDS_OID(&at))
		return NULL;
	bson_oid_to_string(bson_iter_oid(&at), text);
	return xstrdup(text);
}

static enum status by_set(struct run *run, struct mo_conn *c, char **id, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	bson_t reply;

	BSON_APPEND_INT32(&command, "replSetGetConfig", 1);
	if (!mo_conn_command(run, c, "admin", &command, &reply, &refused))
		*id = oid_of(&reply, "config.settings.replicaSetId");
	bson_destroy(&reply);
	return passed(&refused, why, err);
}

static enum status take_cluster(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	char **id = ctx, *oid = oid_of(doc, "clusterId");

	if (oid && !*id)
		*id = xasprintf("cluster-%s", oid);
	free(oid);
	return ST_OK;
}

static enum status by_cluster(struct run *run, struct mo_conn *c, char **id, char **why, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	BSON_APPEND_UTF8(&command, "find", "version");
	BSON_APPEND_INT32(&command, "limit", 1);
	(void)!mo_conn_each(run, c, "config", &command, take_cluster, id, &refused);
	return passed(&refused, why, err);
}

static enum status take_uuid(void *ctx, const bson_t *doc, struct error *err UNUSED)
{
	char **id = ctx;
	const char *name = mo_look_str(doc, "name");
	bson_iter_t at;

	if (*id || !name || strcmp(name, "system.version") || !mo_look(doc, "info.uuid", &at) || !BSON_ITER_HOLDS_BINARY(&at))
		return ST_OK;
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	const uint8_t *data = NULL;
	uint32_t n = 0;
	bson_iter_binary(&at, NULL, &n, &data);
	buf_hex(&hex, data, n);
	*id = xasprintf("server-%s", buf_str(&hex));
	return ST_OK;
}

static enum status by_version(struct run *run, struct mo_conn *c, char **id, char **why, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	(void)!mo_collection_named(run, c, "admin", "system.version", take_uuid, id, &refused);
	return passed(&refused, why, err);
}

static char *by_address(const struct mo_conn *c)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	struct sha256 h = sha256_of(c->server.where, strlen(c->server.where));

	if (c->server.set_name)
		return xasprintf("set-%s", c->server.set_name);
	buf_hex(&hex, h.byte, 8);
	return xasprintf("address-%s", buf_str(&hex));
}

static enum status identify(struct run *run, struct mo_conn *c, struct mo_about *a, struct error *err)
{
	CLEANUP(cstr_release) char *why = NULL;
	const bool set = c->server.set_name && !c->server.mongos;

	if ((set && by_set(run, c, &a->identity, &why, err)) || (c->server.mongos && by_cluster(run, c, &a->identity, &why, err)) ||
	    (!set && !c->server.mongos && by_version(run, c, &a->identity, &why, err)))
		return error_add(err, "who the server is");
	if (a->identity)
		return ST_OK;
	a->identity = by_address(c);
	a->weak = why ? xasprintf("this account may not read who the server is (%s)", why) : xstrdup("this server has no identity of its own that can be read");
	return ST_OK;
}

/* ---- what it is ---- */

static enum status find_members(struct run *run, struct mo_conn *c, struct mo_about *a, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	CLEANUP(cstr_release) char *why = NULL;
	bson_t reply;

	BSON_APPEND_INT32(&command, "hello", 1);
	if (!mo_conn_command(run, c, "admin", &command, &reply, &refused)) {
		const char *me = mo_look_str(&reply, "me"), *primary = mo_look_str(&reply, "primary");

		a->member = me ? xstrdup(me) : NULL;
		a->primary = primary ? xstrdup(primary) : NULL;
	}
	bson_destroy(&reply);
	return passed(&refused, &why, err);
}

static bool has_other_name(const struct mo_server *s) { return s->product && strcmp(s->product, "MongoDB") != 0; }

bool mo_about_is_other(const struct mo_server *s) { return has_other_name(s) && strcmp(s->product, MO_PERCONA) != 0; }

static enum status look(struct run *run, struct mo_conn *c, struct mo_about *a, struct error *err)
{
	const struct mo_server *s = &c->server;

	a->version = has_other_name(s) ? xasprintf("%s (%s)", s->version_text, s->product) : xstrdup(s->version_text);
	a->role = s->primary || s->mongos ? MO_ROLE_PRIMARY : s->secondary ? MO_ROLE_SECONDARY : MO_ROLE_UNKNOWN;
	a->data_time = s->secondary ? s->data_time : run_now(run);
	if (identify(run, c, a, err))
		return err->code;
	return s->set_name ? find_members(run, c, a, err) : ST_OK;
}

enum status mo_about_read(struct run *run, struct mo_conn *c, struct mo_about *a, struct error *err)
{
	mo_about_release(a);
	if (!look(run, c, a, err))
		return ST_OK;
	mo_about_release(a);
	return err->code;
}
