#include "drivers/mysql/users.h"
#include "tests/lib/test.h"

static enum status put_again(void *ctx, const struct my_user *u, struct error *err)
{
	CLEANUP(js_decref) json_t *j = my_user_json(u);

	(void)err;
	js_write(j, false, ctx);
	buf_putc(ctx, '\n');
	return ST_OK;
}

static const char lines[] =
	"{\"name\":\"r1\",\"host\":\"\",\"role\":true,\"create\":\"CREATE ROLE `r1`\",\"grants\":[\"GRANT `r2` TO `r1`\"]}\n"
	"{\"name\":\"PUBLIC\",\"host\":\"\",\"role\":true,\"create\":\"\",\"grants\":[\"GRANT SELECT ON `x`.* TO PUBLIC\"]}\n"
	"{\"name\":\"a b\",\"host\":\"%\",\"role\":false,\"create\":\"CREATE USER `a b`@`%` ACCOUNT LOCK\",\"grants\":[],"
	"\"default_role\":\"SET DEFAULT ROLE `r1` FOR `a b`@`%`\"}\n";

TEST("accounts of a MySQL server are read from their lines as they were written")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf again = BUF_INIT;

	CHECK_OK(my_users_parse(lines, strlen(lines), put_again, &again, &err), err);
	CHECK_STR(buf_str(&again), lines);
	CHECK_ERR(my_users_parse("{\"name\":1}", 10, put_again, &again, &err), err, ST_BAD, "name");
}

struct kept {
	struct my_user user[3];
	size_t n;
};

static enum status keep(void *ctx, const struct my_user *u, struct error *err)
{
	struct kept *k = ctx;
	struct my_user *to = &k->user[k->n++];

	(void)err;
	*to = (struct my_user){.name = xstrdup(u->name),
			       .host = xstrdup(u->host),
			       .role = u->role,
			       .create = xstrdup(u->create),
			       .default_role = u->default_role ? xstrdup(u->default_role) : NULL};
	for (size_t i = 0; i < u->grant.len; i++)
		strlist_add(&to->grant, u->grant.item[i]);
	return ST_OK;
}

TEST("a file of accounts makes all before it gives the first right, and none anew")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct kept k = {.n = 0};

	CHECK_OK(my_users_parse(lines, strlen(lines), keep, &k, &err), err);
	my_users_script(k.user, k.n, &b);
	CHECK_STR(buf_str(&b), "CREATE ROLE IF NOT EXISTS `r1`;\nCREATE USER IF NOT EXISTS `a b`@`%` ACCOUNT LOCK;\n"
			       "GRANT `r2` TO `r1`;\nGRANT SELECT ON `x`.* TO PUBLIC;\nSET DEFAULT ROLE `r1` FOR `a b`@`%`;\n");
	for (size_t i = 0; i < k.n; i++)
		my_user_release(&k.user[i]);
}
