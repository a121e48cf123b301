//! The list of cases.

use crate::{LocalFuture, Need, Scene};

mod keeping;
mod outages;
mod pumping;
mod settling;
mod sharing;

/// Something that every broker owes.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name, by which it is chosen and excused.
    pub name: &'static str,
    /// What is owed, for the table.
    pub about: &'static str,
    /// What it asks of its place.
    pub need: Need,
    /// Plays it; panics if the broker does not keep the contract.
    pub run: for<'a> fn(&'a Scene) -> LocalFuture<'a, ()>,
}

macro_rules! cases {
    ($($about:literal $module:ident :: $name:ident $need:expr;)*) => {
        /// All of them, in the order of the table.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            about: $about,
            need: $need,
            run: |scene| Box::pin($module::$name(scene)),
        }),*];
    };
}

cases! {
    "what is acked never comes back" settling::nothing_acked_comes_back Need::Shared;
    "what is not acked comes back when its lease ends" settling::what_is_not_acked_comes_back Need::Shared;
    "what a vanished receiver held comes back" settling::what_a_vanished_receiver_held_comes_back Need::Shared;
    "an extended lease keeps a message" settling::extending_keeps_it Need::Shared;
    "nothing works after a lost lease" settling::nothing_works_after_a_lost_lease Need::Shared;
    "a receipt settles once" settling::a_receipt_settles_once Need::Shared;
    "a nack delays" settling::a_nack_delays Need::Shared;
    "receive counts grow" settling::receive_counts_grow Need::Shared;
    "receive counts outlive their receiver" keeping::receive_counts_outlive_their_receiver Need::Shared;
    "dead letters keep their reason, and are redriven" settling::dead_letters_keep_their_reason Need::Shared;
    "a redrive reaches its subscription alone" settling::a_redrive_reaches_its_subscription_alone Need::Shared;
    "dead after so many receives" settling::dead_after_n_receives Need::Shared;
    "depth counts each message once" settling::depth_counts_each_once Need::Shared;
    "one bad receipt of a batch spoils no other" settling::one_bad_receipt_spoils_no_other Need::Shared;
    "one bad message of a batch spoils no other" sharing::one_bad_message_spoils_no_other Need::Shared;
    "each subscription gets every message" sharing::fans_out Need::Shared;
    "publishers need not know who listens" sharing::publishers_need_not_know_who_listens Need::Shared;
    "receivers of a subscription share" sharing::receivers_share Need::Shared;
    "a long poll wakes" sharing::a_long_poll_wakes Need::Shared;
    "a receive that is dropped loses nothing" sharing::a_dropped_receive_loses_nothing Need::Shared;
    "bodies and attributes are any bytes and text" sharing::bodies_are_bytes Need::Shared;
    "the largest message passes, and no larger" sharing::the_largest_passes_and_no_larger Need::Shared;
    "the largest message may be binary" sharing::the_largest_may_be_binary Need::Shared;
    "a full subscription is told" sharing::full_is_said Need::Bounded(3);
    "requests are checked" sharing::requests_are_checked Need::Shared;
    "wrong URLs are told" keeping::wrong_urls_are_told Need::Shared;
    "a plan is empty once it is done" keeping::a_plan_is_empty_once_it_is_done Need::Shared;
    "what one connection left another finds" keeping::what_one_connection_left_another_finds Need::Shared;
    "a lease is kept for a handler of three leases" pumping::a_lease_is_kept_for_as_long_as_a_handler_takes Need::Shared;
    "a handler is cancelled when its lease is lost" pumping::a_handler_is_cancelled_when_its_lease_is_lost Need::Shared;
    "an ack after a lost lease is never reported as done" pumping::an_ack_after_a_lost_lease_is_never_reported_as_done Need::Shared;
    "a thousand messages with one slow handler" pumping::a_slow_handler_holds_up_no_other Need::Shared;
    "never more in memory than permits" pumping::never_more_in_memory_than_permits Need::Shared;
    "what a busy pump does not take others get" pumping::what_a_busy_pump_does_not_take_others_get Need::Shared;
    "a graceful stop delivers acks and hands back the rest" pumping::a_graceful_stop_delivers_acks_and_hands_back_the_rest Need::Shared;
    "a hard stop returns within its bound" pumping::a_hard_stop_returns_within_its_bound Need::Shared;
    "a killed consumer loses nothing" outages::a_killed_consumer_loses_nothing Need::Shared;
    "a killed publisher loses nothing that was confirmed" outages::a_killed_publisher_loses_nothing_confirmed Need::Shared;
    "a cut link is made again" outages::a_cut_link_is_made_again Need::Link;
    "a half-open link is noticed" outages::a_half_open_link_is_noticed Need::Link;
    "what was confirmed survives the broker's death" outages::what_was_confirmed_survives_the_broker Need::Broker;
}
