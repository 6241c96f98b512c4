/* qemu-img counts PBKDF2 for two seconds of processor time before it makes a volume, whatever iter-time says. Preloaded,
 * this tells it that its time runs a thousand times faster. It changes the number of iterations and nothing else. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>

int getrusage(__rusage_who_t who, struct rusage *usage)
{
    int (*real)(int, struct rusage *) = (int (*)(int, struct rusage *))dlsym(RTLD_NEXT, "getrusage");
    int result = real((int)who, usage);
    long long microseconds = (usage->ru_utime.tv_sec * 1000000LL + usage->ru_utime.tv_usec) * 1000;
    usage->ru_utime.tv_sec = microseconds / 1000000;
    usage->ru_utime.tv_usec = microseconds % 1000000;
    return result;
}
