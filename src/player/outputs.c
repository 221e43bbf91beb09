/* OUTPUTS_GET: libmpv's list of audio devices, without those that are no device a person would choose. */
#define LOG_MODULE "outputs"
#include "player/outputs.h"

#include <string.h>

#include "base/util.h"
#include "player.pb.h"
#include "player/options.h"
#include "player/sandbox.h"
#include "protocol/output.h"

static const char *text_of(const mpv_node_list *map, const char *key)
{
    for (int i = 0; i < map->num; i++)
        if (strcmp(map->keys[i], key) == 0 && map->values[i].format == MPV_FORMAT_STRING)
            return map->values[i].u.string;
    return "";
}

/* Devices on the list: 0, -EIO. Freed with mpv_free_node_contents. */
static int get_list(mpv_handle *mpv, mpv_node *out)
{
    if (mpv_get_property(mpv, "audio-device-list", MPV_FORMAT_NODE, out) < 0)
        return -EIO;
    if (out->format == MPV_FORMAT_NODE_ARRAY)
        return 0;
    mpv_free_node_contents(out);
    return -EIO;
}

static const char *name_of(const mpv_node *device)
{
    return device->format == MPV_FORMAT_NODE_MAP ? text_of(device->u.list, "name") : "";
}

bool outputs_list_has(mpv_handle *mpv, const char *name)
{
    mpv_node list;
    bool found = false;
    if (get_list(mpv, &list) != 0)
        return false;
    for (int i = 0; !found && i < list.u.list->num; i++)
        found = strcmp(name_of(&list.u.list->values[i]), name) == 0;
    mpv_free_node_contents(&list);
    return found;
}

/* libmpv names every sound system that it was built for, also one that is not here: it is when it has a device. */
static bool is_here(const mpv_node_list *all, const char *name)
{
    size_t len = strlen(name);
    if (strchr(name, '/') != NULL)
        return true;
    for (int i = 0; i < all->num; i++) {
        const char *other = name_of(&all->values[i]);
        if (strncmp(other, name, len) == 0 && other[len] == '/')
            return true;
    }
    return false;
}

static int tell_one(struct channel *control, uint32_t request, const mpv_node_list *all, const mpv_node *node)
{
    ply_Device m = { 0 };
    const char *name = name_of(node);
    if (!output_is_device(name) || strlen(name) >= sizeof(m.name) || !is_here(all, name))
        return 0;
    CODEC_SET_TEXT(m.name, name);
    CODEC_SET_TEXT(m.description, text_of(node->u.list, "description"));
    return channel_send(control, ply_Type_OUTPUT, request, ply_Device_fields, &m, slice(NULL, 0));
}

static int tell_all(struct channel *control, uint32_t request, mpv_handle *mpv)
{
    mpv_node list;
    int r = get_list(mpv, &list);
    if (r != 0)
        return r;
    for (int i = 0; r == 0 && i < list.u.list->num; i++)
        r = tell_one(control, request, list.u.list, &list.u.list->values[i]);
    mpv_free_node_contents(&list);
    return r;
}

int outputs_tell(struct channel *control, uint32_t request)
{
    const struct sandbox needs = { .sound = true };
    ply_OutputsDone done = { 0 };
    int r = sandbox_enter(&needs);
    if (r != 0)
        return r;
    mpv_handle *mpv = mpv_create();
    if (!mpv)
        return -ENOMEM;
    r = options_set_common(mpv);
    if (r == 0)
        r = mpv_initialize(mpv) < 0 ? -EIO : 0;
    if (r == 0)
        r = tell_all(control, request, mpv);
    mpv_terminate_destroy(mpv);
    return r != 0
               ? r
               : channel_send(control, ply_Type_OUTPUTS_DONE, request, ply_OutputsDone_fields, &done, slice(NULL, 0));
}
