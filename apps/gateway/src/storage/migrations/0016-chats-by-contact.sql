-- A contact is one company's, so that a chat is found without the company. With it, the index of all that a company has
-- looked as good to the planner while the table was small, and stayed the plan when it had grown.
create index message_contact on message (contact_id, id);
drop index message_chat;
