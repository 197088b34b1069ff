/* SPDX-License-Identifier: MIT */
/* The table of options in libcyaml's words. */
#include "ops/schema.h"

#include <assert.h>
#include <string.h>

#define MAX_FIELDS  96 /* options and an end for each group */
#define MAX_ENTRIES 16

/* Filled once, by the only thread that reads configurations. */
static struct cyaml_schema_field fields[MAX_FIELDS];
static struct cyaml_schema_value entries[MAX_ENTRIES];
static size_t nfields, nentries;
static struct cyaml_schema_value whole;

static const struct cyaml_schema_value text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const struct cyaml_schema_field *fields_of(const struct sw_group *group);

static const struct cyaml_schema_value *map_entry(const struct sw_group *group)
{
	struct cyaml_schema_value *v = &entries[nentries++];

	assert(nentries <= MAX_ENTRIES);
	v->type = CYAML_MAPPING;
	v->data_size = (uint32_t)group->size;
	v->mapping.fields = fields_of(group);
	return v;
}

static void make_list(struct cyaml_schema_field *f, const struct sw_option *o,
		      const struct cyaml_schema_value *entry)
{
	f->count_offset = o->count_offset;
	f->count_size = sizeof(uint32_t);
	f->value.type = CYAML_SEQUENCE;
	f->value.flags = CYAML_FLAG_POINTER;
	f->value.data_size = entry == &text_entry ? sizeof(char *) : entry->data_size;
	f->value.sequence.entry = entry;
	f->value.sequence.max = CYAML_UNLIMITED;
}

static void make_scalar(struct cyaml_schema_value *v, const struct sw_option *o)
{
	switch (o->kind) {
	case SW_OPTION_COUNT:
	case SW_OPTION_TIME:
		v->type = CYAML_UINT;
		v->data_size = sizeof(uint32_t);
		return;
	case SW_OPTION_FLAG:
		v->type = CYAML_BOOL;
		v->data_size = sizeof(bool);
		return;
	case SW_OPTION_WORD:
		v->type = CYAML_ENUM;
		v->flags = CYAML_FLAG_STRICT;
		v->data_size = sizeof(enum cyaml_type); /* any enum: gcc makes them one size */
		v->enumeration.strings = o->words;
		v->enumeration.count = o->nwords;
		return;
	default:
		*v = text_entry;
		return;
	}
}

/* All fields are required: sw_settings_parse() writes the defaults out. */
static void make_field(struct cyaml_schema_field *f, const struct sw_option *o)
{
	f->key = o->key;
	f->data_offset = o->offset;
	switch (o->kind) {
	case SW_OPTION_ADDRESSES:
	case SW_OPTION_TEXTS:
		make_list(f, o, &text_entry);
		return;
	case SW_OPTION_GROUPS:
		make_list(f, o, map_entry(o->group));
		return;
	case SW_OPTION_GROUP:
		f->value.type = CYAML_MAPPING;
		f->value.data_size = (uint32_t)o->group->size;
		f->value.mapping.fields = fields_of(o->group);
		return;
	default:
		make_scalar(&f->value, o);
		return;
	}
}

/* The group's own fields lie together, so its place is taken before those of inner groups. */
static const struct cyaml_schema_field *fields_of(const struct sw_group *group)
{
	struct cyaml_schema_field *const first = &fields[nfields];

	nfields += group->n + 1;
	assert(nfields <= MAX_FIELDS);
	for (size_t i = 0; i < group->n; i++)
		make_field(&first[i], &group->option[i]);
	return first;
}

const struct cyaml_schema_value *sw_settings_cyaml(void)
{
	if (whole.type != CYAML_MAPPING) {
		whole.type = CYAML_MAPPING;
		whole.flags = CYAML_FLAG_POINTER;
		whole.data_size = (uint32_t)sw_settings_schema.size;
		whole.mapping.fields = fields_of(&sw_settings_schema);
	}
	return &whole;
}
