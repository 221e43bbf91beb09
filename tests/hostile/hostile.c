/* Hostile peers against real programs.
 *
 *   hostile list SET                     names of the cases, one per line; those of a registered member end in " member"
 *   hostile run SET CASE NAME=VALUE...   plays one case: 0 as expected; 1 not, and standard output says what happened
 *   hostile enroll NAME=VALUE...         registers the member's key; prints its client ID
 *   hostile honest address=...           an honest stranger is served
 *   hostile chance AGAINST NAME=VALUE... plays sessions by chance (by_chance.h); AGAINST: device, device-member, distributor, distributor-member
 *   hostile serve PART                   a hostile distributor; "PORT ID", then until it is ended
 *   hostile parts                        names of the parts
 *
 * NAME: address, distributor (addresses), user, password-file, seed (of the member's key), content, destination (IDs), name (of the device);
 * of chance: from (seed of the first session), sessions, seconds. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "as_distributor.h"
#include "base/log.h"
#include "base/util.h"
#include "by_chance.h"

static const struct hostile_cases *const sets[] = { &against_distributor,
                                                    &against_distributor_member,
                                                    &against_device,
                                                    &against_device_member,
                                                    &against_copy,
                                                    &against_state,
                                                    &against_state_room,
                                                    &against_shelf,
                                                    &floods };

static const struct hostile_cases *find_set(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(sets); i++)
        if (strcmp(sets[i]->against, name) == 0)
            return sets[i];
    fprintf(stderr, "no set %s\n", name);
    exit(2);
}

static const struct hostile_case *find_case(const struct hostile_cases *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->cases[i].name, name) == 0)
            return &set->cases[i];
    fprintf(stderr, "no case %s\n", name);
    exit(2);
}

static bool takes(const char *arg, const char *name, const char **value)
{
    size_t len = strlen(name);
    if (strncmp(arg, name, len) != 0 || arg[len] != '=')
        return false;
    *value = arg + len + 1;
    return true;
}

static void read_id(const char *text, struct id *out)
{
    if (text && id_parse(text, out) != 0) {
        fprintf(stderr, "not an ID: %s\n", text);
        exit(2);
    }
}

/* Returns the device's name. */
static const char *read_options(struct stage *s, struct span *span, char **args)
{
    const char *from = "1", *sessions = "18446744073709551615", *seconds = "10", *seed = "0", *content = NULL,
               *destination = NULL, *name = "gremlin";
    struct {
        const char *name;
        const char **value;
    } options[] = {
        { "address", &s->address },
        { "distributor", &s->distributor },
        { "user", &s->user },
        { "password-file", &s->password_file },
        { "seed", &seed },
        { "content", &content },
        { "destination", &destination },
        { "name", &name },
        { "from", &from },
        { "sessions", &sessions },
        { "seconds", &seconds },
    };
    for (; *args; args++) {
        size_t i = 0;
        while (i < ARRAY_COUNT(options) && !takes(*args, options[i].name, options[i].value))
            i++;
        if (i == ARRAY_COUNT(options)) {
            fprintf(stderr, "what is %s?\n", *args);
            exit(2);
        }
    }
    s->seed = strtoull(seed, NULL, 10);
    *span =
        (struct span){ strtoull(from, NULL, 10), strtoull(sessions, NULL, 10), (unsigned)strtoul(seconds, NULL, 10) };
    read_id(content, &s->content);
    read_id(destination, &s->destination);
    return name;
}

static int told(const char *bad)
{
    if (bad)
        puts(bad);
    return bad ? 1 : 0;
}

static int run(char **args)
{
    const struct hostile_cases *set = find_set(args[0]);
    const struct hostile_case *c = find_case(set, args[1]);
    struct stage s = { .address = NULL };
    struct span unused;
    read_options(&s, &unused, args + 2);
    wire_init(&s.wire, c->member ? s.seed : 0);
    int status = told(c->run(&s));
    wire_deinit(&s.wire);
    return status;
}

static int enroll(char **args)
{
    struct stage s = { .address = NULL };
    struct span unused;
    const char *name = read_options(&s, &unused, args);
    char id[ID_TEXT_BYTES];
    msg_Registered registered;
    wire_init(&s.wire, s.seed);
    struct line *l = stage_register(&s, s.address, name, &registered);
    id_text(&s.wire.id, id);
    puts(l ? id : s.complaint);
    line_free(l);
    wire_deinit(&s.wire);
    return l ? 0 : 1;
}

static int honest(char **args)
{
    struct stage s = { .address = NULL };
    struct span unused;
    read_options(&s, &unused, args);
    return told(stage_expect_honest(&s, s.address));
}

static int chance(const char *against, char **args)
{
    struct stage s = { .address = NULL };
    struct span span;
    read_options(&s, &span, args);
    wire_init(&s.wire, s.seed);
    int status = told(by_chance(&s, strncmp(against, "device", 6) == 0, strstr(against, "-member") != NULL, &span));
    wire_deinit(&s.wire);
    return status;
}

static int list(const struct hostile_cases *set)
{
    for (size_t i = 0; i < set->count; i++)
        printf("%s%s\n", set->cases[i].name, set->cases[i].member ? " member" : "");
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (secret_init() != 0)
        return 3;
    if (strcmp(verb, "list") == 0 && argc == 3)
        return list(find_set(argv[2]));
    if (strcmp(verb, "run") == 0 && argc >= 4)
        return run(argv + 2);
    if (strcmp(verb, "chance") == 0 && argc >= 3)
        return chance(argv[2], argv + 3);
    if (strcmp(verb, "enroll") == 0)
        return enroll(argv + 2);
    if (strcmp(verb, "honest") == 0)
        return honest(argv + 2);
    if (strcmp(verb, "serve") == 0 && argc == 3)
        return as_distributor(argv[2]);
    if (strcmp(verb, "parts") == 0) {
        as_distributor_list();
        return 0;
    }
    fprintf(stderr, "usage: hostile list|run|chance|enroll|honest|serve|parts ...\n");
    return 2;
}
