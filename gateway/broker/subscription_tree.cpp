#include "gateway/broker/subscription_tree.hpp"

#include <algorithm>

namespace milepost::broker {

namespace {

// A node with its place in its parent's map.
constexpr std::size_t level_bytes = 192;
constexpr std::size_t entry_bytes = 128;

struct Step {
    std::string_view level;
    std::string_view rest;
    bool is_last = false;
};

Step next_level(std::string_view rest) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return {rest, {}, true};
    return {rest.substr(0, slash), rest.substr(slash + 1), false};
}

}  // namespace

SubscriptionTree::SubscriptionTree()
    : root_(std::make_unique<Node>()) {}

SubscriptionTree::~SubscriptionTree() = default;

std::size_t SubscriptionTree::cost_bytes(std::string_view filter) {
    const auto levels = static_cast<std::size_t>(std::count(filter.begin(), filter.end(), '/')) + 1;
    return levels * level_bytes + entry_bytes + 2 * filter.size();
}

void SubscriptionTree::add(
    std::string_view filter,
    Subscriber& subscriber,
    const SubscriptionOptions& options
) {
    Node* node = root_.get();
    Step step{{}, filter, false};
    while (!step.is_last) {
        step = next_level(step.rest);
        auto found = node->children.find(step.level);
        if (found == node->children.end()) {
            found = node->children.emplace(step.level, std::make_unique<Node>()).first;
        }
        node = found->second.get();
    }
    const auto known = std::find_if(
        node->entries.begin(),
        node->entries.end(),
        [&](const Entry& e) { return e.subscriber == &subscriber; }
    );
    if (known != node->entries.end()) {
        known->options = options;
        return;
    }
    node->entries.push_back({&subscriber, options});
    ++size_;
    bytes_ += cost_bytes(filter);
}

void SubscriptionTree::remove(std::string_view filter, const Subscriber& subscriber) {
    if (!remove_below(*root_, filter, /*is_end=*/false, subscriber)) return;
    --size_;
    bytes_ -= cost_bytes(filter);
}

// As deep as the filter has levels, which the owner limits. True: an entry was removed.
bool SubscriptionTree::remove_below(
    Node& node,
    std::string_view rest,
    bool is_end,
    const Subscriber& subscriber
) {
    if (is_end) {
        return std::erase_if(node.entries, [&](const Entry& entry) {
                   return entry.subscriber == &subscriber;
               }) > 0;
    }
    const Step step = next_level(rest);
    const auto found = node.children.find(step.level);
    if (found == node.children.end()) return false;
    Node& child = *found->second;
    const bool removed = remove_below(child, step.rest, step.is_last, subscriber);
    if (child.entries.empty() && child.children.empty()) node.children.erase(found);
    return removed;
}

void SubscriptionTree::match(std::string_view topic, std::vector<const Entry*>& into) const {
    if (size_ > 0) match_below(*root_, topic, /*is_first=*/true, into);
}

// As deep as the deepest filter at most.
void SubscriptionTree::match_below(
    const Node& node,
    std::string_view rest,
    bool is_first,
    std::vector<const Entry*>& into
) {
    const auto take = [&into](const Node& matched) {
        for (const Entry& entry : matched.entries) {
            into.push_back(&entry);
        }
    };
    const bool takes_wildcards = !is_first || !rest.starts_with('$');
    const auto any_below = node.children.find(std::string_view{"#"});
    if (takes_wildcards && any_below != node.children.end()) take(*any_below->second);
    const Step step = next_level(rest);
    const auto go_on = [&](std::string_view level) {
        const auto found = node.children.find(level);
        if (found == node.children.end()) return;
        const Node& child = *found->second;
        if (!step.is_last) return match_below(child, step.rest, /*is_first=*/false, into);
        take(child);
        // `a/#` also matches `a`.
        const auto parent = child.children.find(std::string_view{"#"});
        if (parent != child.children.end()) take(*parent->second);
    };
    go_on(step.level);
    if (takes_wildcards) go_on("+");
}

}  // namespace milepost::broker
