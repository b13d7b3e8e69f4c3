#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

#define ID "{'v':{'$numberInt':'2'},'key':{'_id':{'$numberInt':'1'}},'name':'_id_'}"

static const char *created(const char *options, const char *indexes)
{
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(mo_bson_clear) bson_t command = BSON_INITIALIZER;

	meta_of(&m, options, indexes);
	mo_create_options(&m, &command);
	return printed(&command);
}

static const char *indexed(const char *options, const char *indexes, bool plain)
{
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(mo_bson_clear) bson_t array = BSON_INITIALIZER;
	size_t n = 99;

	meta_of(&m, options, indexes);
	mo_create_indexes(&m, plain, &array, &n);
	CHECK_INT(n, bson_count_keys(&array));
	return printed(&array);
}

TEST("a MongoDB collection is made with its options in their order, without those that a server makes itself")
{
	CHECK_STR(created("{}", "[]"), "{}");
	CHECK_STR(created("{'capped':true,'uuid':'x','size':{'$numberLong':'4096'},'autoIndexId':true,'recordIdsReplicated':true,'temp':true,"
			  "'validator':{'b':{'$regex':'x'},'a':1}}", "[" ID "]"),
		  "{'capped':true,'size':{'$numberLong':'4096'},'validator':{'b':{'$regex':'x'},'a':{'$numberInt':'1'}}}");
}

TEST("the index of _id is a MongoDB collection's option where it is another than a server would make")
{
	CHECK_STR(created("{}", "[" ID ",{'key':{'a':1},'name':'a_1'}]"), "{}");
	CHECK_STR(created("{}", "[{'v':1,'key':{'_id':1},'name':'_id_','ns':'d.c'}]"), "{}");
	CHECK_STR(created("{}", "[{'v':2,'key':{'_id':-1},'name':'x','ns':'d.c'}]"), "{'idIndex':{'key':{'_id':{'$numberInt':'-1'}},'name':'x'}}");
	CHECK_STR(created("{'collation':{'locale':'fr'}}", "[{'v':2,'key':{'_id':1},'name':'_id_','collation':{'locale':'fr'}}]"), "{'collation':{'locale':'fr'}}");
	CHECK_STR(created("{'collation':{'locale':'fr'}}", "[" ID "]"),
		  "{'collation':{'locale':'fr'},'idIndex':{'key':{'_id':{'$numberInt':'1'}},'name':'_id_','collation':{'locale':'simple'}}}");
	CHECK_STR(created("{}", "[{'v':2,'key':{'_id':1},'name':'_id_','collation':{'locale':'fr'}}]"),
		  "{'idIndex':{'key':{'_id':{'$numberInt':'1'}},'name':'_id_','collation':{'locale':'fr'}}}");
	CHECK_STR(created("{}", "[{'v':2,'key':{'_id':'hashed'},'name':'h'},{'v':2,'key':{'_id':1,'a':1},'name':'i'}]"), "{}");
	CHECK_STR(created("{'clusteredIndex':{'key':{'_id':1},'unique':true}}", "[{'v':2,'key':{'_id':1},'name':'x','unique':true,'clustered':true}]"),
		  "{'clusteredIndex':{'key':{'_id':{'$numberInt':'1'}},'unique':true}}");
}

TEST("secondary indexes of MongoDB are made as they are, with the order of their keys, without ns and, where wanted, without version")
{
	static const char list[] = "[" ID ",{'v':2,'key':{'b':1,'a':-1},'name':'b_1_a_-1','ns':'d.c','unique':true,'sparse':true,'hidden':true},"
				   "{'v':2,'key':{'_id':'hashed'},'name':'h'},{'v':2,'key':{'t':1},'name':'t','expireAfterSeconds':{'$numberLong':'5'},"
				   "'partialFilterExpression':{'z':{'$gt':1}}}]";

	CHECK_STR(indexed("{}", list, true),
		  "{'0':{'key':{'b':{'$numberInt':'1'},'a':{'$numberInt':'-1'}},'name':'b_1_a_-1','unique':true,'sparse':true,'hidden':true},"
		  "'1':{'key':{'_id':'hashed'},'name':'h'},'2':{'key':{'t':{'$numberInt':'1'}},'name':'t','expireAfterSeconds':{'$numberLong':'5'},"
		  "'partialFilterExpression':{'z':{'$gt':{'$numberInt':'1'}}}}}");
	CHECK_HAS(indexed("{}", list, false), "{'0':{'v':{'$numberInt':'2'},'key':");
	CHECK(!strstr(indexed("{}", list, false), "'ns'"));
	CHECK_STR(indexed("{}", "[" ID "]", true), "{}");
	CHECK_STR(indexed("{}", "[{'v':2,'key':{'_id':1},'name':'x','unique':true,'clustered':true}]", true), "{}");
}

TEST("values in the key of an index that only old versions take become 1, and indexes that are then the same are one")
{
	static const char list[] = "[{'v':1,'key':{'a':true,'b':'','c':0,'d':{'$numberDouble':'NaN'},'e':-0.5,'f':{'$numberDecimal':'0'},'g':{'x':1}},'name':'x'},"
				   "{'v':1,'key':{'h':1},'name':'h1'},{'v':1,'key':{'h':true},'name':'h2'},{'v':1,'key':{'h':-1},'name':'h3'},"
				   "{'v':1,'key':{'h':true},'name':'h4','sparse':true}]";

	CHECK_STR(indexed("{}", list, true),
		  "{'0':{'key':{'a':{'$numberInt':'1'},'b':{'$numberInt':'1'},'c':{'$numberInt':'1'},'d':{'$numberInt':'1'},'e':{'$numberDouble':'-0.5'},"
		  "'f':{'$numberInt':'1'},'g':{'$numberInt':'1'}},'name':'x'},'1':{'key':{'h':{'$numberInt':'1'}},'name':'h1'},"
		  "'2':{'key':{'h':{'$numberInt':'-1'}},'name':'h3'},'3':{'key':{'h':{'$numberInt':'1'}},'name':'h4','sparse':true}}");
	CHECK_HAS(indexed("{}", list, false), "{'0':{'v':{'$numberInt':'1'},'key':{'a':true,'b':''");
}

TEST("an index without collation on a collection that has one is made with the simple one")
{
	CHECK_STR(indexed("{'collation':{'locale':'fr'}}", "[{'v':2,'key':{'a':1},'name':'a'},{'v':2,'key':{'b':1},'name':'b','collation':{'locale':'de'}}]", true),
		  "{'0':{'key':{'a':{'$numberInt':'1'}},'name':'a','collation':{'locale':'simple'}},"
		  "'1':{'key':{'b':{'$numberInt':'1'}},'name':'b','collation':{'locale':'de'}}}");
	CHECK_STR(indexed("{'collation':{'locale':'simple'}}", "[{'key':{'a':1},'name':'a'}]", true), "{'0':{'key':{'a':{'$numberInt':'1'}},'name':'a'}}");
	/* Version 1 knows no collation. */
	CHECK_STR(indexed("{'collation':{'locale':'fr'}}", "[{'v':1,'key':{'a':1},'name':'a'}]", false),
		  "{'0':{'key':{'a':{'$numberInt':'1'}},'name':'a','collation':{'locale':'simple'}}}");
}

TEST("an index 2dsphere that says no version is of version 1")
{
	CHECK_HAS(indexed("{}", "[{'key':{'a':'2dsphere'},'name':'a'}]", true), "'2dsphereIndexVersion':{'$numberInt':'1'}");
	CHECK_HAS(indexed("{}", "[{'key':{'a':'2dsphere'},'name':'a','2dsphereIndexVersion':3}]", true), "'2dsphereIndexVersion':{'$numberInt':'3'}}}");
	CHECK(!strstr(indexed("{}", "[{'key':{'a':'2d'},'name':'a'}]", true), "Version"));
}

/* ---- comparing ---- */

static const char *facts(const char *index)
{
	static char text[1000];
	CLEANUP(mo_bson_freep) bson_t *b = document(index);
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	mo_index_facts(b, &to);
	CHECK(to.len < sizeof text);
	memcpy(text, buf_str(&to), to.len + 1);
	return text;
}

static void check_alike(const char *a, const char *b)
{
	CLEANUP(cstr_release) char *first = xstrdup(facts(a));

	CHECK_STR(facts(b), first);
}

static void check_differ(const char *a, const char *b)
{
	CLEANUP(cstr_release) char *first = xstrdup(facts(a));

	if (!strcmp(facts(b), first))
		test_fail(__FILE__, __LINE__, "%s and %s are alike: %s", a, b, first);
}

TEST("indexes are compared without what servers add by themselves, and numbers by their value")
{
	CHECK_STR(facts("{'v':2,'name':'a_1','key':{'b':1,'a':{'$numberDouble':'-1.0'}},'ns':'d.c','unique':true}"),
		  "{\"key\":{\"b\":1,\"a\":-1},\"name\":\"a_1\",\"unique\":true}");
	check_alike("{'key':{'a':1},'name':'a','expireAfterSeconds':60}", "{'name':'a','expireAfterSeconds':{'$numberLong':'60'},'v':1,'key':{'a':{'$numberLong':'1'}}}");
	check_alike("{'key':{'a':1},'name':'a'}", "{'key':{'a':1},'name':'a','background':true,'sparse':false,'unique':false,'hidden':false,'storageEngine':{'x':1}}");
	check_alike("{'key':{'a':'2dsphere'},'name':'a'}", "{'key':{'a':'2dsphere'},'name':'a','2dsphereIndexVersion':3}");
	check_alike("{'key':{'_fts':'text','_ftsx':1},'name':'t','weights':{'a':1,'b':2},'default_language':'english','language_override':'language','textIndexVersion':3}",
		    "{'key':{'_fts':'text','_ftsx':1},'name':'t','weights':{'b':{'$numberDouble':'2.0'},'a':{'$numberDouble':'1.0'}}}");
	check_alike("{'key':{'$**':1},'name':'w','wildcardProjection':{'b':0,'a':0}}", "{'key':{'$**':1},'name':'w','wildcardProjection':{'a':false,'b':false,'_id':false}}");
	check_alike("{'key':{'a':1},'name':'a','collation':{'locale':'fr','strength':3,'version':'57.1'}}",
		    "{'key':{'a':1},'name':'a','collation':{'strength':3,'locale':'fr'}}");
	check_alike("{'key':{'a':1},'name':'a','collation':{'locale':'simple'}}", "{'key':{'a':1},'name':'a'}");
}

TEST("indexes that differ in any option, or in the order of their keys, are told apart")
{
	static const char *const others[] = {
		"{'key':{'b':1,'a':1},'name':'x'}", "{'key':{'a':1,'b':-1},'name':'x'}", "{'key':{'a':1,'b':'hashed'},'name':'x'}", "{'key':{'a':1,'b':1},'name':'y'}",
		"{'key':{'a':1,'b':1},'name':'x','unique':true}", "{'key':{'a':1,'b':1},'name':'x','sparse':true}", "{'key':{'a':1,'b':1},'name':'x','hidden':true}",
		"{'key':{'a':1,'b':1},'name':'x','expireAfterSeconds':0}", "{'key':{'a':1,'b':1},'name':'x','expireAfterSeconds':1}",
		"{'key':{'a':1,'b':1},'name':'x','partialFilterExpression':{'c':1}}", "{'key':{'a':1,'b':1},'name':'x','partialFilterExpression':{'c':'1'}}",
		"{'key':{'a':1,'b':1},'name':'x','collation':{'locale':'fr'}}", "{'key':{'a':1,'b':1},'name':'x','collation':{'locale':'fr','strength':1}}",
		"{'key':{'a':1,'b':1},'name':'x','weights':{'a':1}}", "{'key':{'a':1,'b':1},'name':'x','weights':{'a':2}}",
		"{'key':{'a':1,'b':1},'name':'x','default_language':'french'}", "{'key':{'a':1,'b':1},'name':'x','language_override':'l'}",
		"{'key':{'a':1,'b':1},'name':'x','wildcardProjection':{'a':1}}", "{'key':{'a':1,'b':1},'name':'x','wildcardProjection':{'a':0}}",
		"{'key':{'a':1,'b':1},'name':'x','wildcardProjection':{'a':1,'_id':1}}", "{'key':{'a':1,'b':1},'name':'x','prepareUnique':true}",
		"{'key':{'a':1,'b':1},'name':'x','bits':26}", "{'key':{'a':1,'b':1},'name':'x','later':{'a':1}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		check_differ("{'key':{'a':1,'b':1},'name':'x'}", others[i]);
		for (size_t k = 0; k < i; k++)
			check_differ(others[k], others[i]);
	}
}

static const char *options_facts(const char *options)
{
	static char text[1000];
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(buf_release) struct buf to = BUF_INIT;

	meta_of(&m, options, "[]");
	mo_options_facts(&m, &to);
	CHECK(to.len < sizeof text);
	memcpy(text, buf_str(&to), to.len + 1);
	return text;
}

TEST("options of collections are compared by value, whatever their order, and without what is the default")
{
	CHECK_STR(options_facts("{}"), "{}");
	CHECK_STR(options_facts("{'size':{'$numberDouble':'4096.0'},'capped':true,'uuid':'x','autoIndexId':true}"), "{\"capped\":true,\"size\":4096}");
	CHECK_STR(options_facts("{'validator':{'a':1},'validationLevel':'strict','validationAction':'error'}"), "{\"validator\":{\"a\":1}}");
	CHECK_STR(options_facts("{'validator':{'a':1},'validationLevel':'moderate','validationAction':'warn'}"),
		  "{\"validationAction\":\"warn\",\"validationLevel\":\"moderate\",\"validator\":{\"a\":1}}");
	CHECK_STR(options_facts("{'collation':{'locale':'fr','version':'1'},'changeStreamPreAndPostImages':{'enabled':false}}"), "{\"collation\":{\"locale\":\"fr\"}}");
	CHECK_STR(options_facts("{'changeStreamPreAndPostImages':{'enabled':true}}"), "{\"changeStreamPreAndPostImages\":{\"enabled\":true}}");
	CHECK_STR(options_facts("{'storageEngine':{'wiredTiger':{'configString':'app_metadata=(timeseriesBucketsMayHaveMixedSchemaData=true)'}}}"), "{}");
	CHECK_HAS(options_facts("{'storageEngine':{'wiredTiger':{'configString':'app_metadata=(timeseriesX=true),block_compressor=zstd'}}}"), "zstd");
	CHECK_STR(options_facts("{'clusteredIndex':{'v':2,'unique':true,'key':{'_id':1}}}"), "{\"clusteredIndex\":{\"key\":{\"_id\":1},\"unique\":true}}");
	CHECK_STR(options_facts("{'timeseries':{'timeField':'t','granularity':'hours','bucketMaxSpanSeconds':2592000}}"),
		  "{\"timeseries\":{\"bucketMaxSpanSeconds\":2592000,\"granularity\":\"hours\",\"timeField\":\"t\"}}");
	CHECK_STR(options_facts("{'viewOn':'o','pipeline':[{'$sort':{'b':1,'a':1}}]}"), "{\"pipeline\":[{\"$sort\":{\"b\":1,\"a\":1}}],\"viewOn\":\"o\"}");
}
