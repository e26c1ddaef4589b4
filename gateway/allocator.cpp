// How jemalloc, the programs' malloc, is set up (jemalloc(3), "TUNING"); read before main begins.
//
// The forwarder has some ten thousand messages of librdkafka under way, each one allocation. libc
// gives out the chunk that was freed longest ago, so they wander through all the memory that the
// fullest queue ever had, and the processor waits for it; jemalloc gives out the lowest, which is
// still in the cache. tests/bench/README.md has what that is worth.
//
// One arena, few cached objects a thread: for a 512 MiB machine with few cores. What was not used
// for ten seconds goes back to the kernel, also when nothing happens any more.
extern "C" {
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): the library's own name for it
extern const char* malloc_conf;
const char* malloc_conf =
    "narenas:1,tcache_nslots_small_max:16,lg_tcache_max:11,"
    "background_thread:true,max_background_threads:1";
}
