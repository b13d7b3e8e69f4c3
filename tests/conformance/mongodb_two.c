#include "tests/conformance/mongodb_two.h"

#include "tests/lib/test.h"

void mo_two_from(struct mo_two *t, const char *from)
{
	*t = (struct mo_two){.k = {.objects = 0}};
	mo_shop_script(&t->from, from);
	kept_dump(&t->from.s, "shop", &t->k);
}

void mo_two_to(struct mo_two *t, const char *to)
{
	mo_shop_script(&t->to, to);
	loading_init(&t->l, &t->to.s, &t->k, "shop");
}

void mo_two_start(struct mo_two *t, const char *from, const char *to)
{
	mo_two_from(t, from);
	mo_two_to(t, to);
}

void mo_two_away(struct mo_two *t)
{
	loading_release(&t->l);
	mo_shop_stop(&t->to);
}

void mo_two_stop(struct mo_two *t)
{
	mo_two_away(t);
	kept_release(&t->k);
	mo_shop_stop(&t->from);
}

void mo_two_resume(struct mo_two *t)
{
	t->l.resumed = true;
	mo_shop_run_ok(&t->l);
}

void mo_two_resume_all(struct mo_two *t)
{
	strlist_release(&t->l.done);
	mo_two_resume(t);
}

void mo_two_resume_log(struct mo_two *t)
{
	t->l.log_only = true;
	mo_two_resume_all(t);
}

void mo_two_refused(struct mo_two *t, const char *why)
{
	mo_shop_refused(&t->l, why);
	loading_init(&t->l, &t->to.s, &t->k, "shop");
}

void mo_two_listed(struct mo_two *t, const char *collection, const char *part)
{
	CLEANUP(cstr_release) char *json = mo_shop_listed(&t->to, "shop", collection);

	CHECK_HAS(json, part);
}
